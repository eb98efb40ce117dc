"""`coatcheck usage` and `coatcheck adjust`: what tenants used, and what they are given beside their tier."""

from __future__ import annotations

import dataclasses
import datetime as dt

import click

from access import adjustments, tenants
from access import usage as access_usage
from cli import operators, output
from core import audit

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--tenant", help="Of this tenant alone.")
@click.option("--from", "since", type=_DAY, help="The first day (UTC); without it, the first of the month of --to.")
@click.option("--to", "until", type=_DAY, help="The last day; without it, today.")
@click.option("--by", default="day", show_default=True, help=f"Told apart by: {', '.join(access_usage.BY)}, by commas.")
@output.as_json
def usage(tenant: str | None, since: dt.datetime | None, until: dt.datetime | None, by: str, as_json: bool) -> None:
    """Show what tenants used.

    In units, and at the price of each in its moment.
    """
    columns = access_usage.told_apart(by)
    with operators.parts() as parts:
        days = access_usage.span(parts.engine, since and since.date(), until and until.date())
        with parts.engine.connect() as connection:
            tenant_id = None if tenant is None else tenants.find(connection, tenant)
        found = access_usage.read(parts.engine, tenant_id, days, columns)
    names = ("tenant", *columns, "calls", "units", "price")
    rows = [{**dataclasses.asdict(item), "price": f"{item.price.normalize():f}"} for item in found]
    if as_json:
        output.document([{name: row[name] for name in names} for row in rows])
    else:
        output.table(names, [[row[name] for name in names] for row in rows])


@click.command()
@click.argument("tenant")
@click.option("--units", type=int, required=True, help="How many more this month; less than 0 takes them.")
@click.option("--reason", required=True, help="Why, for whoever asks later.")
@output.as_json
def adjust(tenant: str, units: int, reason: str, as_json: bool) -> None:
    """Give a tenant units for this month.

    They count within a second, and are in the audit log.
    """
    with operators.parts() as parts, parts.engine.begin() as connection:
        month = adjustments.make(connection, tenant, units, reason, audit.operator()).month
    if as_json:
        output.document({"tenant": tenant, "month": f"{month:%Y-%m}", "units": units, "reason": reason})
    else:
        output.line(f"{tenant} has {units:+,} units in {month:%Y-%m}")
