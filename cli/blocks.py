"""`coatcheck blocks`: who is held back for repeated errors."""

from __future__ import annotations

import click

from access import blocks as access_blocks
from access.ladder import Ladder
from cli import operators, output
from core import audit


@click.group()
def blocks() -> None:
    """List who is held back for repeated errors, and let them go."""


@blocks.command("list")
@output.as_json
def list_(as_json: bool) -> None:
    """List who is held back.

    Keys as `key:<id>`, networks as `address:<network>`, those that are held longest first. Times are UTC.
    """
    with operators.parts() as parts:
        found = access_blocks.listed(parts.engine, Ladder())
    if as_json:
        output.document([vars(item) for item in found])
        return
    rows = [
        (item.subject, item.tenant or "", item.level, item.reason, output.when(item.since), output.when(item.until))
        for item in found
    ]
    output.table(("subject", "tenant", "level", "reason", "since", "until"), rows)


@blocks.command()
@click.argument("subject")
@output.as_json
def lift(subject: str, as_json: bool) -> None:
    """Let somebody go.

    SUBJECT is as `coatcheck blocks list` shows it. Their errors from before are forgotten everywhere within 2 s. It is
    written to the audit log.
    """
    with operators.parts() as parts:
        access_blocks.lift(parts.engine, subject, audit.operator())
    if as_json:
        output.document({"subject": subject})
    else:
        output.line(f"{subject} is let go")
