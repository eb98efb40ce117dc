"""Migrations that begin at the same moment, and those that somebody is in the way of."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import alembic.command
import alembic.config
import pytest
import sqlalchemy
from sqlalchemy import exc, text

from core import database
from tests.conftest import Platform, until
from tests.waiting import WAITS_LONG, hasty

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
NOBODY = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


def count(engine: sqlalchemy.Engine, sql: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(sql)).scalar_one())


def test_who_migrates_beside_another_says_so_and_waits_for_it_however_long_that_takes(
    platform: Platform, empty: sqlalchemy.Engine, config: alembic.config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(config, "print_stdout", said.append)
    hasty(monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        with empty.connect() as another:
            another.execute(text("SELECT pg_advisory_lock(727274)"))
            migrating = pool.submit(alembic.command.upgrade, config, "head")
            until(lambda: migrating.done() or platform.rows(WAITS_LONG))
            assert not migrating.done()
            assert count(empty, TABLES) == 0
        migrating.result(120)
    assert count(empty, TABLES) > 0
    assert said == ["Somebody else changes the tables or roles of this database: waiting for them"]
    until(lambda: count(empty, NOBODY) == 0)


@pytest.mark.parametrize("waited", [False, True])
def test_a_migration_gives_up_on_a_table_that_somebody_holds(
    platform: Platform,
    empty: sqlalchemy.Engine,
    config: alembic.config.Config,
    monkeypatch: pytest.MonkeyPatch,
    *,
    waited: bool,
) -> None:
    """Or all who come after it would wait behind it."""
    alembic.command.upgrade(config, "head")
    monkeypatch.setattr(database, "LOCK_S", 0.1)
    with ThreadPoolExecutor(1) as pool, empty.begin() as another:
        another.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        with empty.connect() as first:
            if waited:
                first.execute(text("SELECT pg_advisory_lock(727274)"))
            migrating = pool.submit(alembic.command.upgrade, config, "head")
            until(lambda: migrating.done() or not waited or platform.rows(WAITS_LONG))
        with pytest.raises(exc.OperationalError, match="lock timeout"):
            migrating.result(60)
    alembic.command.upgrade(config, "head")


def test_a_session_that_has_just_been_closed_is_in_nobodys_way_down(
    empty: sqlalchemy.Engine, config: alembic.config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    alembic.command.upgrade(config, "head")
    another, real = empty.connect(), time.sleep

    def sleep(seconds: float) -> None:
        another.close()
        real(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    alembic.command.downgrade(config, "-1")
    assert another.closed
