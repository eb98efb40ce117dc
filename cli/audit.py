"""`coatcheck audit`: who changed what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from access import changes
from access.changes import Filters
from cli import operators, output


@click.command()
@click.option("--tenant", help="Only what is this tenant's.")
@click.option("--subject", help="Only what was done to this, such as key:<id>, tenant:<name> or model:<name>.")
@click.option("--actor", help="Only what was done by this one: key:<id>, cli:<user>, 'canary judge'.")
@click.option("--action", help="Only this, such as key.revoke.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="How many, the newest first."
)
@output.as_json
def audit(
    tenant: str | None, subject: str | None, actor: str | None, action: str | None, limit: int, as_json: bool
) -> None:
    """Show who changed what.

    Every change to keys, tenants, tiers, adjustments, blocks, models and routes, newest first. Times are UTC.
    """
    with operators.parts() as parts:
        found = changes.page(parts.engine, Filters(tenant, subject, actor, action), limit=limit).items
    if as_json:
        output.document([vars(item) for item in found])
        return
    columns = ("at", "actor", "address", "action", "subject", "tenant", "before", "after")
    rows = [
        (output.when(item.at), item.actor, item.address or "", item.action, item.subject, item.tenant or "",
         _side(item.before), _side(item.after))
        for item in found
    ]  # fmt: skip
    output.table(columns, rows)


def _side(said: Mapping[str, Any] | None) -> str:
    return "" if said is None else json.dumps(said, ensure_ascii=False)
