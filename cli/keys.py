"""`coatcheck keys`: API keys."""

from __future__ import annotations

import click

from access import keys as access_keys
from core import database, settings


@click.group()
def keys() -> None:
    """Make API keys."""


@keys.command()
@click.option("--tenant", default="default", show_default=True, help="Whose key; made if new.")
@click.option("--tier", help="What the tenant may do; a new one is free, an old one stays what it is.")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--admin", is_flag=True, help="May also operate the platform.")
def create(tenant: str, tier: str | None, name: str, admin: bool) -> None:
    """Print a new key; it is stored as a hash and cannot be shown again."""
    engine = database.create_engine(settings.load().database_url)
    scopes = {"jobs", "admin"} if admin else {"jobs"}
    click.echo(access_keys.create(engine, tenant=tenant, name=name, scopes=scopes, tier=tier))
