"""`coatcheck tenants`: who has keys, and of which tier."""

from __future__ import annotations

import dataclasses

import click

from access import tenants as access_tenants
from access import tiers
from cli import operators, output


@click.group()
def tenants() -> None:
    """List and make tenants, and change their tiers.

    A tenant owns keys, jobs and files; its tier says what it may do.
    """


@tenants.command("list")
@output.as_json
def list_(as_json: bool) -> None:
    """List all tenants.

    `keys` counts those that open something. Times are UTC.
    """
    with operators.parts() as parts:
        found = access_tenants.listed(parts.engine)
    if as_json:
        output.document([dataclasses.asdict(item) for item in found])
        return
    rows = [(item.name, item.tier, item.keys, output.when(item.created_at)) for item in found]
    output.table(("tenant", "tier", "keys", "created"), rows)


@tenants.command()
@click.argument("name")
@click.option("--tier", default=tiers.DEFAULT, show_default=True, help="What it may do; see `coatcheck tiers list`.")
@output.as_json
def create(name: str, tier: str, as_json: bool) -> None:
    """Make a tenant. It has no keys yet: `coatcheck keys create` makes one."""
    with operators.parts() as parts:
        access_tenants.create(parts.engine, name, tier)
    if as_json:
        output.document({"name": name, "tier": tier})
    else:
        output.line(f"{name} is a tenant of tier {tier}")


@tenants.command()
@click.argument("name")
@click.option("--tier", required=True, help="What it may do from now on; see `coatcheck tiers list`.")
@output.as_json
def change(name: str, tier: str, as_json: bool) -> None:
    """Give a tenant another tier.

    It holds within 5 s. Jobs that are accepted already keep their places and their ends.
    """
    with operators.parts() as parts:
        before = access_tenants.change(parts.engine, name, tier=tier)
    if as_json:
        output.document({"name": name, "tier": tier, "before": before})
    elif before == tier:
        output.line(f"{name} is {tier} already; nothing was changed")
    else:
        output.line(f"{name} is {tier} now, and was {before}")
