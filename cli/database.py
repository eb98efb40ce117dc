"""`coatcheck roles` and `coatcheck migrate`: who may do what in the database, and its tables."""

from __future__ import annotations

import sys
from pathlib import Path

import alembic.command
import alembic.config
import alembic.util
import click
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from cli import output
from core import database, settings
from core import roles as database_roles

ROOT = Path(__file__).resolve().parent.parent


@click.command()
@click.argument("revision", default="head")
def migrate(revision: str) -> None:
    """Bring the tables to REVISION, or the newest."""
    config = alembic.config.Config(ROOT / "alembic.ini", stdout=sys.stderr)
    # Again, as a % in the path would be taken for more of the ini file's own.
    for name, path in (("script_location", ROOT / "migrations"), ("prepend_sys_path", ROOT)):
        config.set_main_option(name, str(path).replace("%", "%%"))
    try:
        alembic.command.upgrade(config, revision)
    except alembic.util.CommandError as error:
        raise click.ClickException(str(error)) from error
    # Alembic takes "up to what is below" for done.
    engine = database.create_engine(settings.owner_url(), application="coatcheck-migrate")
    with engine.connect() as connection:
        now = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    earlier = {item.revision for item in ScriptDirectory.from_config(config).walk_revisions("base", now or "base")}
    if revision == "base" or revision in earlier - {now}:
        raise click.ClickException(f"The database is at {now} and stays there: this command goes up, not down")


@click.command()
def roles() -> None:
    """Make or repair the database's two roles.

    Works as DATABASE_SUPERUSER_URL. The role of DATABASE_OWNER_URL owns the tables and migrates them, the role of
    DATABASE_URL may use them. Their passwords become those of their addresses.
    """
    database_roles.ensure(
        superuser_url=settings.database_url("DATABASE_SUPERUSER_URL"),
        owner_url=settings.database_url("DATABASE_OWNER_URL"),
        app_url=settings.database_url(),
        say=output.say,
    )
