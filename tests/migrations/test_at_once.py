"""Migrations that begin at the same moment, and those that somebody is in the way of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import alembic.command
import alembic.config
import pytest
import sqlalchemy
from sqlalchemy import exc, text

from tests.conftest import Platform, until
from tests.waiting import WAITS_LONG, hasty_for_locks

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


def tables(engine: sqlalchemy.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(TABLES)).scalar_one())


def test_who_migrates_beside_another_waits_for_it_however_long_that_takes(
    platform: Platform, empty: sqlalchemy.Engine, config: alembic.config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty_for_locks(monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        with empty.connect() as another:
            another.execute(text("SELECT pg_advisory_lock(727274)"))
            migrating = pool.submit(alembic.command.upgrade, config, "head")
            until(lambda: migrating.done() or platform.rows(WAITS_LONG))
            assert not migrating.done()
            assert tables(empty) == 0
        migrating.result(120)
    assert tables(empty) > 0


def test_a_migration_gives_up_on_a_table_that_somebody_holds_and_leaves_nobody_behind_it(
    empty: sqlalchemy.Engine, config: alembic.config.Config
) -> None:
    alembic.command.upgrade(config, "head")
    with empty.begin() as another:
        another.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(exc.OperationalError, match="lock timeout"):
            alembic.command.upgrade(config, "head")
