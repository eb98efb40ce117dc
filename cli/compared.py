"""`coatcheck routes shadows`, `shadow` and `quality`: versions that are compared, and how often they were right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from cli import operators, output
from jobs import quality as judged
from jobs.shadows import pairs, report


@click.command()
@output.as_json
def shadows(as_json: bool) -> None:
    """List the shadows that were compared."""
    with operators.parts() as parts:
        found = pairs.names(parts.engine)
    if as_json:
        output.document([vars(item) for item in found])
        return
    rows = [(item.model, item.name, item.pairs, output.when(item.last_at)) for item in found]
    output.table(("model", "shadow", "pairs", "last"), rows)


@click.command()
@click.argument("model")
@click.argument("name")
@output.as_json
def shadow(model: str, name: str, as_json: bool) -> None:
    """Compare a shadow with the stable version.

    Of what both were asked in the last 30 days, by the versions that they are now; with --json also the confusion, the
    histograms and the largest disagreements.
    """
    with operators.parts() as parts:
        parts.catalog.model(model)
        found = report.of(pairs.of(parts.engine, model, name))
    if as_json:
        output.document(found)
        return
    output.table(("what", "is"), [[what, _shown(value)] for what, value in _flat(found)])


@click.command()
@click.argument("model")
@output.as_json
def quality(model: str, as_json: bool) -> None:
    """See how often a model's versions were right.

    As far as tenants said what was true.
    """
    with operators.parts() as parts:
        parts.catalog.model(model)
        found = judged.of(parts.engine, model)
    if as_json:
        output.document({"model": model, "versions": found})
        return
    rows = [[item["version"], what, _shown(value)] for item in found for what, value in _flat(item)]
    output.table(("version", "what", "is"), rows)


def _flat(found: Mapping[str, Any], of: str = "") -> Iterator[tuple[str, Any]]:
    """What can be told in a line, each by its way down; an interval is one."""
    for name, value in found.items():
        if isinstance(value, Mapping) and value.keys() != {"value", "low", "high"}:
            yield from _flat(value, f"{of}{name} ")
        elif not isinstance(value, list) and value is not None:
            yield f"{of}{name}", value


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        if value["low"] is None:
            return f"{value['value']:.4g}"
        return f"{value['value']:.4g} ({value['low']:.4g} to {value['high']:.4g})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
