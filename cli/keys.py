"""`coatcheck keys`: API keys."""

from __future__ import annotations

import dataclasses
import re

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from access import keys as access_keys
from core import database, settings

#: In a pipe: nothing is cut there. A table takes no more than it needs.
WIDE = 1000
_ID = re.compile(r"[0-9a-f]{12}")


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command()
@click.option("--tenant", default="default", show_default=True, help="Whose key; made if new.")
@click.option("--tier", help="What the tenant may do; a new one is free, an old one stays what it is.")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--admin", is_flag=True, help="May also operate the platform.")
@click.option("--metrics", is_flag=True, help="May only read /metrics.")
def create(tenant: str, tier: str | None, name: str, admin: bool, metrics: bool) -> None:
    """Print a new key; it is stored as a hash and cannot be shown again."""
    if admin and metrics:
        raise click.UsageError("--admin and --metrics exclude each other")
    engine = database.create_engine(settings.database_url())
    scopes = {"metrics"} if metrics else {"jobs", "admin"} if admin else {"jobs"}
    click.echo(access_keys.create(engine, tenant=tenant, name=name, scopes=scopes, tier=tier))


@keys.command("list")
@click.option("--tenant", help="Only the keys of this one.")
@click.option("--all", "revoked", is_flag=True, help="Also those that were revoked.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array.")
def list_(tenant: str | None, revoked: bool, as_json: bool) -> None:
    """The keys that open something, never their secrets."""
    found = access_keys.issued(database.create_engine(settings.database_url()), tenant=tenant, revoked=revoked)
    if as_json:
        click.echo(orjson.dumps([dataclasses.asdict(key) for key in found], option=orjson.OPT_OMIT_MICROSECONDS))
        return
    table = Table("id", "tenant", "tier", "name", "scopes", "created", "revoked", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for key in found:
        shown = (key.id, key.tenant, key.tier, key.name, " ".join(key.scopes))
        days = (f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (key.created_at, key.revoked_at))
        table.add_row(*(escape(item) for item in shown), *days)
    Console(width=None if Console().is_terminal else WIDE).print(table)


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End the key with this id (the 12 digits after `cck_`), for good; it is refused everywhere within 5 s. Safe to
    repeat."""
    if not _ID.fullmatch(key_id):
        # What was given may be a whole key, and is not repeated.
        raise click.BadParameter(
            "must be a key's id alone, the 12 hex digits after cck_, as `coatcheck keys list` shows it",
            param_hint="KEY_ID",
        )
    since = access_keys.revoke(database.create_engine(settings.database_url()), key_id)
    click.echo(f"{key_id} was revoked at {since:%Y-%m-%d %H:%M:%S} UTC" if since else f"{key_id} is revoked")
