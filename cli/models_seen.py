"""`coatcheck models show` and `try`: a model as a client sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from cli import output
from cli.answers import completed, progress_bar, watch, whole
from cli.failures import Failure
from cli.formats import ROWS
from cli.remote import Remote
from core import errors

#: Of a JSON Schema, what is said of a value besides its type, and how.
LIMITS = {
    "minimum": "from {}", "maximum": "to {}", "enum": "one of {}",
    "minLength": "at least {} characters", "maxLength": "at most {} characters",
    "minItems": "at least {} items", "maxItems": "at most {} items", "unit": "in {}",
}  # fmt: skip
COLUMNS = ("name", "type", "required", "default", "limits", "description")

VERSION = click.option("--version", help="Its version; the stable one if not given.")


@click.command()
@click.argument("name")
@VERSION
@output.as_json
def show(name: str, version: str | None, as_json: bool) -> None:
    """Show what a model takes and answers.

    With its versions, its licence, an example that works, and the same as a curl command.
    """
    found = _seen(Remote.from_environment(), name, version)
    if as_json:
        output.document(found)
        return
    others = [item for item in found["versions"] if item != found["version"]]
    stable = "the stable version" if found["stable"] else f"{found['stable_version']} is the stable version"
    also = f"; there are also {', '.join(others)}" if others else ""
    output.line(f"{name} {found['version']}  {stable}{also}")
    if found["deprecated"]:
        until = f"; until {found['sunset_at'][:10]}" if "sunset_at" in found else ""
        output.line(f"deprecated{until}: {found.get('deprecation', 'use another version')}")
    output.line(found["summary"])
    how = "answers at once" if found["inline"] else "answers by a job"
    output.line(f"kind {found['kind']}, {how} on {found['pool']}, licence {found['licence']}")
    for title, schema in (("takes", found["input_schema"]), ("answers", found["output_schema"])):
        if rows := list(_rows(schema)):
            output.line("")
            output.line(f"{title}:")
            output.table(COLUMNS, rows)
    output.line("")
    output.line(f"example: {_json(found['example'])}")
    if "curl" in found:
        output.line(found["curl"])


@click.command("try")
@click.argument("name")
@click.option("--input", "given", metavar="FIELD=VALUE", multiple=True, help="Another value than the example's.")
@click.option(
    "--inputs",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="A file with all fields as a JSON object, in place of the example; - is standard input.",
)
@VERSION
@output.as_json
def try_(name: str, given: tuple[str, ...], file: Path | None, version: str | None, as_json: bool) -> None:
    """Ask a model once, and print its answer.

    Without --inputs it is asked its own example; --input changes one field of it and may be given again. What is not
    answered at once is waited for.
    """
    remote = Remote.from_environment()
    seen = _seen(remote, name, version)
    if not any(kind in seen["file_types"] for kind in ROWS.values()):
        said = f"{name} takes a whole file: `coatcheck submit FILE --model {name}`"
        raise Failure(said, code=errors.InvalidInput.code, details={"file_types": seen["file_types"]})
    inputs = {**(_read(file) if file else seen["example"]), **_values(given, seen["input_schema"])}
    later = {} if seen["inline"] else {"options": {"async": True}}
    body = {"model": name, "model_version": seen["version"], "inputs": inputs, **later}
    began = time.monotonic()
    answer, by_job = _asked(remote, body)
    took_ms = round(1000 * (time.monotonic() - began))
    if as_json:
        about = {"model": name, "model_version": seen["version"], "job_id": by_job, "took_ms": took_ms}
        output.document({**about, "inputs": inputs, "answer": answer})
        return
    output.document(answer)
    output.say(f"{name} {seen['version']} answered in {took_ms:,} ms{f', by {by_job}' if by_job else ''}")


def _asked(remote: Remote, body: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The answer, and the job that gave it if one did."""
    found = remote.post("/predict", "model", "model_version", body=body)
    if "job_id" not in found:
        return {key: value for key, value in found.items() if key not in ("model", "model_version", "request_id")}, None
    with progress_bar() as progress:
        job = watch(remote, found["job_id"], progress)
    completed(job)
    return whole(job["result"]), found["job_id"]


def _seen(remote: Remote, name: str, version: str | None) -> dict[str, Any]:
    """All that the platform says of one version, the stable one if none is given."""
    path = f"/models/{quote(name, safe='')}"
    model = remote.get(path, "versions", "stable_version")
    chosen = version or model["stable_version"]
    found = remote.get(
        f"{path}/versions/{quote(chosen, safe='')}",
        "version", "stable", "deprecated", "summary", "kind", "inline", "pool", "licence",
        "example", "input_schema", "output_schema", "file_types",
    )  # fmt: skip
    more = {"curl": model["curl"]} if found["stable"] and "curl" in model else {}
    return {**found, "versions": model["versions"], "stable_version": model["stable_version"], **more}


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


def _rows(schema: Mapping[str, Any], outer: str = "") -> Iterator[list[str]]:
    """Of each value: its name, type, whether it is required, default, limits and description."""
    required = schema.get("required", ())
    for name, value in schema.get("properties", {}).items():
        if "properties" in value:
            yield from _rows(value, f"{outer}{name}.")
            continue
        default = "" if value.get("default") is None else _json(value["default"])
        limits = ", ".join(how.format(_shown(value[key])) for key, how in LIMITS.items() if key in value)
        about = str(value.get("description", ""))
        yield [f"{outer}{name}", str(value.get("type", "")), "yes" if name in required else "", default, limits, about]


def _shown(fact: Any) -> str:
    return ", ".join(map(str, fact)) if isinstance(fact, list) else str(fact)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
