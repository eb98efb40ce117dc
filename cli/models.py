"""`coatcheck models`: what is published."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path

import click
import structlog

from cli import operators, output, publish
from cli.models_ends import deprecate, remove
from cli.models_init import init
from cli.models_pull import pull
from cli.models_seen import show, try_
from core import audit
from inference import bundle, trial
from inference.bundle import Bundle
from registry import lifecycle
from registry.catalog import Catalog
from registry.versions import Version


@click.group()
def models() -> None:
    """Draw up, check, publish and list models, say which answers.

    A published version is never changed, and the number of one that was removed stays taken.
    """


#: What comes with the platform.
SHIPPED = Path(__file__).resolve().parent.parent / "bundles"
FOLDERS = click.argument(
    "folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)


@models.command()
@FOLDERS
@output.as_json
def check(folders: tuple[Path, ...], as_json: bool) -> None:
    """Try bundles as `push` does, and publish nothing.

    It needs no settings and no platform.
    """
    checked = [_checked(folder, as_json=as_json) for folder in folders]
    if as_json:
        output.document(checked)


def _checked(folder: Path, *, as_json: bool) -> dict[str, object]:
    """What came of one, said at once; raises BundleInvalid."""
    loaded = bundle.load(folder)
    trial.run(loaded)
    manifest = loaded.manifest
    if not as_json:
        count = len(manifest.golden)
        kept = f"answers its {count} examples" if count > 1 else "answers its example"
        code = loaded.code
        by = f"  by {code}" if code else ""
        output.line(f"{manifest.name} {manifest.version}  {kept}  sha256:{loaded.digest[:12]}{by}")
    return {"model": manifest.name, "version": manifest.version, "digest": loaded.digest}


@models.command()
@FOLDERS
@click.option("--stable", is_flag=True, help="Answer with this version when nobody asks for another.")
@output.as_json
def push(folders: tuple[Path, ...], stable: bool, as_json: bool) -> None:
    """Check bundles, store them and publish them.

    Each is tried with its golden examples first.
    The first version of a model is its stable one. A later one answers only those who ask for it, until `--stable` or
    `coatcheck models stable` makes it so.
    Where DATABASE_URL is set, as for operators, they are tried here. Else they are sent to COATCHECK_URL, with a
    COATCHECK_API_KEY that `coatcheck keys create --models` has made, and tried there.
    """
    # What would be logged of a model that fails is said on the terminal.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if remote := publish.remote():
        over_http = functools.partial(publish.publish, remote, stable=stable)
        pushed = [_pushed(over_http, folder, as_json=as_json) for folder in folders]
    else:
        with operators.parts() as parts:
            parts.store.ensure_bucket()
            here = functools.partial(_publish, parts.catalog, stable=stable)
            pushed = [_pushed(here, folder, as_json=as_json) for folder in folders]
    if as_json:
        output.document(pushed)


def _publish(catalog: Catalog, loaded: Bundle, *, stable: bool) -> tuple[bool, str] | None:
    """Whether it is new, and the version that answers by default; None where it ships with the platform, whose every
    start hands it in, and was removed. Raises BundleInvalid."""
    gone = catalog.removed(loaded.manifest.name, loaded.manifest.version)
    if gone and gone.digest == loaded.digest and loaded.folder.resolve().is_relative_to(SHIPPED):
        return None
    new = catalog.publish(loaded, stable=stable)
    return new, catalog.resolve(loaded.manifest.name, None).version


def _pushed(publish: Callable[[Bundle], tuple[bool, str] | None], folder: Path, *, as_json: bool) -> dict[str, object]:
    """What came of one, said at once; raises BundleInvalid."""
    loaded = bundle.load(folder)
    name, version = loaded.manifest.name, loaded.manifest.version
    if (found := publish(loaded)) is None:
        output.say(f"{name} {version} was removed, and stays so")
        return {"model": name, "version": version, "new": False, "removed": True, "digest": loaded.digest}
    new, answers = found
    if not as_json:
        state = "published" if new else "already there"
        output.line(f"{name} {version}  {state}  sha256:{loaded.digest[:12]}")
    if answers != version:
        output.say(
            f"{name} {answers} still answers by default; `coatcheck models stable {name} {version}` changes that"
        )
    return {"model": name, "version": version, "new": new, "digest": loaded.digest}


@models.command("list")
@output.as_json
def list_(as_json: bool) -> None:
    """List every published version.

    The stable one of a model answers when nobody asks for another.
    """
    with operators.parts() as parts:
        found = parts.catalog.versions()
    if as_json:
        output.document([_row(item) for item in found])
        return
    columns = ("model", "version", "stable", "deprecated", "kind", "pool", "inline", "digest")
    shown = [{**_row(item), "digest": item.digest[:12]} for item in found]
    output.table(columns, [[row[name] for name in columns] for row in shown])


@models.command("stable")
@click.argument("name")
@click.argument("version")
@output.as_json
def stable_(name: str, version: str, as_json: bool) -> None:
    """Say which version of a model answers by default.

    VERSION answers when nobody asks for another; to roll back, name the earlier one. It holds within a second. Jobs
    that are accepted already keep their version.
    """
    with operators.parts() as parts:
        before = lifecycle.make_stable(parts.engine, name, version, audit.operator())
    if as_json:
        output.document({"model": name, "version": version, "before": before})
    elif before == version:
        output.line(f"{name} {version} is stable already; nothing was changed")
    else:
        output.line(f"{name} {version} is stable now; it was {before}")


for command in (init, show, try_, deprecate, remove, pull):
    models.add_command(command)


def _row(item: Version) -> dict[str, object]:
    manifest = item.manifest
    return {
        "model": item.model, "version": item.version, "stable": item.stable,
        "deprecated": item.deprecation is not None, "kind": manifest.kind, "pool": manifest.pool,
        "inline": manifest.inline, "digest": item.digest,
    }  # fmt: skip
