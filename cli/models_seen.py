"""`coatcheck models show` and `try`: a model as a client sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from cli import asking, output
from cli.remote import Remote

#: Of a JSON Schema, what is said of a value besides its type, and how.
LIMITS = {
    "minimum": "from {}", "maximum": "to {}", "enum": "one of {}",
    "minLength": "at least {} characters", "maxLength": "at most {} characters",
    "minItems": "at least {} items", "maxItems": "at most {} items", "unit": "in {}",
}  # fmt: skip
COLUMNS = ("name", "type", "required", "default", "limits", "description")


@click.command()
@click.argument("name")
@asking.VERSION
@output.as_json
def show(name: str, version: str | None, as_json: bool) -> None:
    """Show what a model takes and answers.

    With its versions, its licence, an example that works, and the same as a curl command.
    """
    found = asking.seen(Remote.from_environment(), name, version)
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
@asking.with_inputs
@asking.VERSION
@output.as_json
def try_(name: str, given: tuple[str, ...], file: Path | None, version: str | None, as_json: bool) -> None:
    """Ask a model once, and print its answer.

    Without --inputs it is asked its own example; --input changes one field of it and may be given again. What is not
    answered at once is waited for.
    """
    remote = Remote.from_environment()
    seen = asking.seen(remote, name, version)
    inputs = asking.inputs(name, seen, given, file)
    later = {} if seen["inline"] else {"options": {"async": True}}
    body = {"model": name, "model_version": seen["version"], "inputs": inputs, **later}
    began = time.monotonic()
    answer, by_job = asking.answered(remote, "/predict", body)
    took_ms = round(1000 * (time.monotonic() - began))
    if as_json:
        about = {"model": name, "model_version": seen["version"], "job_id": by_job, "took_ms": took_ms}
        output.document({**about, "inputs": inputs, "answer": answer})
        return
    output.document(answer)
    output.say(f"{name} {seen['version']} answered in {took_ms:,} ms{f', by {by_job}' if by_job else ''}")


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
