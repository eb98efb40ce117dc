"""`coatcheck routes` and `apply`: who gets which version of a model."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cli import compared, operators, output
from cli.failures import Failure
from core import audit, errors
from inference import model_yaml, promise
from registry import routing
from registry.judging import trials
from registry.routes import Unit
from registry.routing import Change


@click.group()
def routes() -> None:
    """Show who gets which version of a model, and end its trials.

    `coatcheck apply` changes it.
    """


@routes.command()
@click.argument("model")
@output.as_json
def show(model: str, as_json: bool) -> None:
    """Show who gets which version of a model."""
    with operators.parts() as parts, parts.engine.connect() as connection:
        found = routing.current(connection, model)
    if as_json:
        output.document({"model": model, **found.to_json()})
    else:
        output.table(("part", "is"), [list(item) for item in found.told()])


@routes.command()
@click.argument("model")
@click.option("--key", "keys", required=True, multiple=True, help="A unit: see above. May be given again.")
@output.as_json
def explain(model: str, keys: Sequence[str], as_json: bool) -> None:
    """Say which version of a model somebody gets, and why.

    Where the model's routes are `by: request`, the KEY is a request's X-Request-ID; where they are `by: caller`, it is
    what came as X-Route-Key, or else the tenant's id without dashes. What is said holds for the routes as they are now.
    """
    with operators.parts() as parts:
        found = [(key, parts.catalog.resolve(model, None, Unit(key, key))) for key in keys]
    if as_json:
        output.document([{"key": key, "version": item.version, "route": item.route} for key, item in found])
        return
    output.table(("key", "version", "route"), [[key, item.version, item.route] for key, item in found])
    if len(found) > 1:
        counts = Counter(item.route for _, item in found)
        output.say(", ".join(f"{route}: {count}" for route, count in counts.most_common()))


@routes.command()
@click.argument("model")
@click.argument("name")
@output.as_json
def canary(model: str, name: str, as_json: bool) -> None:
    """Show what was seen of a canary, and what came of it.

    The one of this NAME, or the last that had it. It is rolled back where the e of a metric comes to the threshold;
    while it runs, "needs" says about how many more requests it takes to find one twice as bad as is tolerated.
    """
    with operators.parts() as parts, parts.engine.connect() as connection:
        found = trials.find(connection, model, name)
    if as_json:
        output.document(found.told())
        return
    ended = f"{found.state.replace('_', ' ')} by {found.ended_by}" if found.ended_at else "running, inconclusive"
    output.line(f"{model} {found.version} beside {found.stable}: {ended}")
    rows = [
        [metric, str(seen["canary"]), str(seen["stable"]), f"{seen['e']:g}", f"{found.evidence['threshold']:g}",
         "" if found.ended_at or seen["needs"] is None else f"about {seen['needs']} more"]
        for metric, seen in found.evidence.get("metrics", {}).items()
    ]  # fmt: skip
    output.table(("metric", "canary", "stable", "e", "threshold", "needs"), rows)


@routes.command()
@click.argument("model")
@click.argument("canary")
@output.as_json
def promote(model: str, canary: str, as_json: bool) -> None:
    """Make a canary's version the stable one.

    The canary ends. It holds within a second; `coatcheck models stable` with the earlier version takes it back.
    """
    _end(model, canary, as_json=as_json, promoted=True)


@routes.command()
@click.argument("model")
@click.argument("canary")
@output.as_json
def rollback(model: str, canary: str, as_json: bool) -> None:
    """End a canary.

    Its share of the traffic goes back to the stable version within a second.
    """
    _end(model, canary, as_json=as_json, promoted=False)


def _end(model: str, canary: str, *, as_json: bool, promoted: bool) -> None:
    with operators.parts() as parts, parts.engine.begin() as connection:
        changes = routing.end(connection, model, canary, audit.operator(), promoted=promoted)
    _say({model: changes}, as_json=as_json)


for command in (compared.shadows, compared.shadow, compared.quality):
    routes.add_command(command)


@click.command()
@click.option(
    "-f",
    "--file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML: models by their names, each with its routes.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@output.as_json
def apply(file: Path, dry_run: bool, as_json: bool) -> None:
    """Have models answered as a file says.

    It has `models:`, and under each name `stable`, `by`, `canaries`, `experiments`, `shadows` and `aliases` as
    docs/versions.md describes them. What a model's entry does not say is not there afterwards, but for the stable
    version, which stays; models that are not named stay as they are. All changes are made, or none.
    """
    wanted = _read(file)
    with operators.parts() as parts, parts.engine.connect() as connection, connection.begin() as transaction:
        # In one order, so that two who do this at once wait for each other.
        changes = {name: _changed(connection, name, wanted[name]) for name in sorted(wanted)}
        if dry_run:
            transaction.rollback()
    _say(changes, as_json=as_json, dry_run=dry_run)


def _changed(connection: Any, name: str, raw: object) -> list[Change]:
    try:
        return routing.apply(connection, name, raw, audit.operator())
    except errors.InvalidInput as error:
        told = "; ".join(f"{item['field']} {item['issue']}" for item in error.errors)
        raise Failure(f"{name}: {told}", code=error.code, details=error.details) from error


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = model_yaml.mapping(file)
    except errors.BundleInvalid as error:
        raise Failure(error.message, code="FILE") from error
    models = found.get("models") if found.keys() == {"models"} else None
    if not isinstance(models, dict):
        raise Failure(f"{file} must be a mapping with the key models: names, each with its routes", code="FILE")
    for name in models:
        if not isinstance(name, str) or not re.match(promise.NAME, name):
            raise Failure(f"{file}: models: {str(name)[:100]!r} must be {promise.NAMES}", code="FILE")
    return models


def _say(changes: Mapping[str, Sequence[Change]], *, as_json: bool, dry_run: bool = False) -> None:
    if as_json:
        told = {name: [dataclasses.asdict(item) for item in found] for name, found in changes.items()}
        output.document({"applied": not dry_run, "changes": told})
        return
    for name, found in changes.items():
        for item in found:
            output.line(f"{name}: {_told(item)}")
    if all(item.before == item.after for found in changes.values() for item in found):
        output.say("nothing changes")
    elif dry_run:
        output.say("nothing was changed: --dry-run")


def _told(change: Change) -> str:
    match change:
        case Change(part, None, after):
            return f"+ {part}: {after}"
        case Change(part, before, None):
            return f"- {part}: {before}"
        case Change(part, before, after) if before == after:
            return f"= {part} keeps what its ramp has come to: {after}"
    return f"~ {change.part}: {change.before} → {change.after}"
