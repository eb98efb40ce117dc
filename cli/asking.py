"""Asking a version of a model once, as a client: what it is, what it is asked, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.answers import completed, progress_bar, watch, whole
from cli.failures import Failure
from cli.formats import ROWS
from cli.remote import Remote, part
from core import errors

F = TypeVar("F", bound=Callable[..., Any])

VERSION = click.option("--version", help="Its version; the stable one if not given.")


def with_inputs(command: F) -> F:
    """Options that say what a model is asked: `given` and `file`."""
    for option in (
        click.option(
            "--inputs",
            "file",
            type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
            help="A file with all fields as a JSON object, in place of the example; - is standard input.",
        ),
        click.option(
            "--input", "given", metavar="FIELD=VALUE", multiple=True, help="Another value than the example's."
        ),
    ):
        command = option(command)
    return command


def seen(remote: Remote, name: str, version: str | None) -> dict[str, Any]:
    """All that the platform says of one version, the stable one if none is given."""
    path = f"/models/{part(name)}"
    model = remote.get(path, "versions", "stable_version")
    chosen = version or model["stable_version"]
    found = remote.get(
        f"{path}/versions/{part(chosen)}",
        "version", "stable", "deprecated", "summary", "kind", "inline", "pool", "licence",
        "example", "input_schema", "output_schema", "file_types",
    )  # fmt: skip
    more = {"curl": model["curl"]} if found["stable"] and "curl" in model else {}
    return {**found, "versions": model["versions"], "stable_version": model["stable_version"], **more}


def inputs(name: str, found: Mapping[str, Any], given: tuple[str, ...], file: Path | None) -> dict[str, Any]:
    """What the version that was `seen` is asked: a file's fields or its example, with those that were `given`; raises
    Failure for a model that takes no fields, BadParameter."""
    if not any(kind in found["file_types"] for kind in ROWS.values()):
        said = f"{name} takes a whole file: `coatcheck submit FILE --model {name}`"
        raise Failure(said, code=errors.InvalidInput.code, details={"file_types": found["file_types"]})
    return {**(_read(file) if file else found["example"]), **_values(given, found["input_schema"])}


def answered(remote: Remote, path: str, body: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The answer, and the job that gave it if one did."""
    found = remote.post(path, "model", "model_version", body=body)
    if "job_id" not in found:
        return {key: value for key, value in found.items() if key not in ("model", "model_version", "request_id")}, None
    with progress_bar() as progress:
        job = watch(remote, found["job_id"], progress)
    completed(job)
    return whole(job["result"]), found["job_id"]


def _values(given: tuple[str, ...], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of --input; raises BadParameter."""
    known, found = schema.get("properties", {}), {}
    for item in given:
        field, equals, value = item.partition("=")
        if not equals or field not in known:
            raise click.BadParameter(f"must be FIELD=VALUE; there are: {', '.join(known)}", param_hint="--input")
        type_ = known[field].get("type")
        try:
            found[field] = value if type_ == "string" else json.loads(value)
        except ValueError:
            raise click.BadParameter(f"{field} must be {type_}, as JSON has it", param_hint="--input") from None
    return found


def _read(file: Path) -> dict[str, Any]:
    with click.open_file(str(file), "rb") as stream:
        text = stream.read()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Failure(f"{file} is no JSON: {error}", code="FILE") from None
    if not isinstance(found, dict):
        raise Failure(f"{file} must be a JSON object: the fields with their values", code="FILE")
    return found
