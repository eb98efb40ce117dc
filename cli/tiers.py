"""`coatcheck tiers`: what classes of tenants may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from access import tiers as access_tiers
from cli import operators, output

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def tiers() -> None:
    """List, show, make and change tiers: what tenants may do."""


def _limits(function: F) -> F:
    """An option for each thing that a tier limits."""
    for name, limit in reversed(list(access_tiers.LIMITS.items())):
        kind = float if name in ("pace", "unit_price") else int
        function = click.option(f"--{name.replace('_', '-')}", type=kind, help=limit.meaning)(function)
    told = f"Which priorities jobs may have, by commas: {', '.join(access_tiers.PRIORITIES)}."
    past = "What happens to who has used the monthly units and the allowance."
    function = click.option("--past-allowance", type=click.Choice(access_tiers.PAST), help=past)(function)
    return click.option("--priorities", help=told)(function)


@tiers.command("list")
@output.as_json
def list_(as_json: bool) -> None:
    """List all tiers.

    `coatcheck tiers change --help` says what the columns mean.
    """
    with operators.parts() as parts:
        found = access_tiers.listed(parts.engine)
    if as_json:
        output.document(found)
        return
    output.table(
        ("tier", *access_tiers.COLUMNS[1:]),
        [[_shown(row[name]) for name in access_tiers.COLUMNS] for row in found],
    )


@tiers.command()
@click.argument("name")
@output.as_json
def show(name: str, as_json: bool) -> None:
    """Show a tier, a limit a line."""
    with operators.parts() as parts:
        found = access_tiers.get(parts.engine, name)
    if as_json:
        output.document(found)
    else:
        output.table(("limit", "of this tier"), [(field, _shown(value)) for field, value in found.items()])


@tiers.command()
@click.argument("name")
@click.option("--like", default=access_tiers.DEFAULT, show_default=True, help="The tier that it is a copy of.")
@_limits
@output.as_json
def create(name: str, like: str, as_json: bool, **limits: Any) -> None:
    """Make a tier: a copy of another, but for what you give."""
    with operators.parts() as parts:
        made = access_tiers.create(parts.engine, name, like=like, given=_given(limits))
    if as_json:
        output.document(made)
    else:
        output.line(f"{name} is a tier")


@tiers.command()
@click.argument("name")
@_limits
@output.as_json
def change(name: str, as_json: bool, **limits: Any) -> None:
    """Change a tier, for all its tenants.

    What you do not give stays as it is. It holds within 5 s. Jobs that are accepted already keep their places and
    their ends.
    """
    given = _given(limits)
    if not given:
        raise click.UsageError("Say what is to change, such as --max-pending 500")
    with operators.parts() as parts:
        before, after = access_tiers.change(parts.engine, name, given)
    if as_json:
        output.document({"tier": after, "before": before})
        return
    for field in given:
        old, new = _shown(before[field]), _shown(after[field])
        output.line(f"{name} {field}: {new}, as before" if old == new else f"{name} {field}: {new}, and was {old}")


def _given(limits: dict[str, Any]) -> dict[str, Any]:
    """What was given, as the columns of a tier."""
    given = {name: value for name, value in limits.items() if value is not None}
    if "priorities" in given:
        given["priorities"] = [item.strip() for item in given["priorities"].split(",")]
    return given


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
