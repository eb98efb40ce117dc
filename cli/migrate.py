"""`coatcheck migrate`: the tables."""

from __future__ import annotations

from pathlib import Path

import alembic.command
import alembic.config
import alembic.util
import click

ROOT = Path(__file__).resolve().parent.parent


@click.command()
@click.argument("revision", default="head")
def migrate(revision: str) -> None:
    """Bring the database to REVISION (default: the newest)."""
    try:
        alembic.command.upgrade(alembic.config.Config(ROOT / "alembic.ini"), revision)
    except alembic.util.CommandError as error:
        raise click.ClickException(str(error)) from error
