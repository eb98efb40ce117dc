"""`coatcheck tenants`: who has keys, and of which tier."""

from __future__ import annotations

import dataclasses

import click

from access import adjustments as access_adjustments
from access import quota, tiers
from access import tenants as access_tenants
from cli import operators, output


@click.group()
def tenants() -> None:
    """List, show and make tenants, and change their tiers.

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
@output.as_json
def show(name: str, as_json: bool) -> None:
    """Show a tenant, and what it has used this month.

    Also units that its jobs will use, less what it was given.
    """
    with operators.parts() as parts:
        found, month = access_tenants.get(parts.engine, name), quota.of_tenant(parts.engine, name)
    if as_json:
        output.document({**dataclasses.asdict(found), "month": month._asdict()})
        return
    most = f" of {month.most:,}" if month.most else ""
    output.table(
        ("tenant", "tier", "keys", "created", "units this month"),
        [(found.name, found.tier, found.keys, output.when(found.created_at), f"{month.used:,}{most}")],
    )


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


@tenants.command()
@click.argument("name")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="How many, the newest first."
)
@output.as_json
def adjustments(name: str, limit: int, as_json: bool) -> None:
    """List the units that a tenant was given.

    By `coatcheck adjust`. Those that were taken are less than 0. Times are UTC.
    """
    with operators.parts() as parts:
        found = access_adjustments.page(parts.engine, name, limit=limit).items
    if as_json:
        output.document([{**vars(item), "id": item.id.hex, "month": f"{item.month:%Y-%m}"} for item in found])
        return
    rows = [(f"{item.month:%Y-%m}", f"{item.units:+,}", item.reason, output.when(item.created_at)) for item in found]
    output.table(("month", "units", "reason", "given"), rows)
