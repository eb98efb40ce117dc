"""Runs migrations as the owner of the tables, with short lock waits so that a migration never queues up the whole platform."""

from __future__ import annotations

import time
from typing import Any, cast

import psycopg
import sqlalchemy
from alembic import context
from alembic.util import CommandError
from sqlalchemy import text

from core import database, settings
from models import Base

#: Whoever else is connected may be the platform, whose sessions a role of its own cannot tell from others.
_OTHERS = text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL
""")


def run_online() -> None:
    engine = database.create_engine(settings.owner_url(), application="coatcheck-migrate", statement_s=None)
    try:
        _run(engine)
    finally:
        engine.dispose()


def _run(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as connection:
        # Two checkouts of one database, or two replicas that start: the second waits its turn.
        database.take_turn(
            cast(psycopg.Connection, connection.connection.driver_connection), context.config.print_stdout
        )
        refusal = _refusal(connection)
        connection.commit()

        def applied(*, step: Any, **_: Any) -> None:
            """Within the transaction of all steps: what is raised here undoes them."""
            if refusal is not None and not step.is_upgrade:
                raise CommandError(refusal)

        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_server_default=False,
            on_version_apply=applied,
        )
        with context.begin_transaction():
            context.run_migrations()


def _refusal(connection: sqlalchemy.Connection) -> str | None:
    """Why no step may go down now, in words; None where it may."""
    name = connection.execute(text("SELECT current_database()")).scalar_one()
    if others := _others(connection):
        return f"Going down takes tables away from the platform: stop it first (sessions that are open: {others})"
    there = set(sqlalchemy.inspect(connection).get_table_names()) & (Base.metadata.tables.keys() - {"tiers"})
    any_row = "SELECT EXISTS (SELECT FROM {})"
    held = [table for table in sorted(there) if connection.execute(text(any_row.format(table))).scalar()]
    said = context.get_x_argument(as_dictionary=True)
    if held and (said.get("drop-data") != "yes" or said.get("database") != name):
        return (
            f"Going down drops data for good, and there is some in {', '.join(held)}. If you mean it, say so twice: "
            f"alembic -x drop-data=yes -x database={name} downgrade …"
        )
    return None


def _others(connection: sqlalchemy.Connection) -> int:
    """How many sessions others have; one that has just been closed is seen for a moment more."""
    found = 0
    for _ in range(10):
        connection.execute(text("SELECT pg_stat_clear_snapshot()"))
        found = connection.execute(_OTHERS).scalar_one()
        if not found:
            break
        time.sleep(0.1)
    return found


def run_offline() -> None:
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
