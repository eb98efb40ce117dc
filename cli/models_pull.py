"""`coatcheck models pull`: a published bundle, as a folder again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from cli import folders, operators, output
from cli.failures import Failure
from cli.text import FilePath
from inference import bundle
from registry.shelf import bundle_key


@click.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option(
    "--out", type=FilePath(file_okay=False, path_type=Path), help="The new folder; NAME-VERSION if not given."
)
@output.as_json
def pull(name: str, version: str | None, out: Path | None, as_json: bool) -> None:
    """Write a published bundle back as a folder.

    Without VERSION that of the stable one. It holds what was published, to the last byte: its digest is the same.
    """
    with operators.parts() as parts:
        found = parts.catalog.resolve(name, version)
        folder = out or Path(f"{name}-{found.version}")
        if folder.is_dir() and any(folder.iterdir()):
            raise folders.in_use(folder)
        with folders.made(folder) as made, tempfile.TemporaryFile(dir=made.parent) as packed:
            parts.store.get_file(bundle_key(found.digest), packed)
            packed.seek(0)
            bundle.unpack(packed, made)
            if bundle.digest(made) != found.digest:
                raise Failure(f"The stored bundle of {name} {found.version} was changed", code="BUNDLE_INVALID")
    if as_json:
        output.document({"model": name, "version": found.version, "digest": found.digest, "folder": str(folder)})
    else:
        output.line(f"{folder}: {name} {found.version}  sha256:{found.digest[:12]}")
