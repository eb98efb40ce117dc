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
    config = alembic.config.Config(ROOT / "alembic.ini")
    # Again, as a % in the path would be taken for more of the ini file's own.
    for name, path in (("script_location", ROOT / "migrations"), ("prepend_sys_path", ROOT)):
        config.set_main_option(name, str(path).replace("%", "%%"))
    try:
        alembic.command.upgrade(config, revision)
    except alembic.util.CommandError as error:
        raise click.ClickException(str(error)) from error
