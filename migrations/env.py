"""Runs migrations as the owner of the tables, with short lock waits so that a migration never queues up the whole platform."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from core import database, settings
from models import Base


def run_online() -> None:
    engine = database.create_engine(settings.owner_url(), application="coatcheck-migrate", statement_s=None)
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '5s'"))
        # Two migrations at once (two checkouts of one database, two replicas starting): the second waits its turn.
        connection.execute(text("SELECT pg_advisory_lock(727274)"))
        connection.commit()
        context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=False)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


def run_offline() -> None:
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
