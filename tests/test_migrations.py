from __future__ import annotations

import alembic.command
import alembic.config
import pytest
import sqlalchemy

from tests.conftest import ROOT, Platform


def test_tables_and_migrations_say_the_same_and_go_both_ways(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlalchemy.make_url(platform.engines.env["DATABASE_OWNER_URL"])
    with platform.admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE migrations OWNER {url.username}")
    monkeypatch.setenv("DATABASE_OWNER_URL", url.set(database="migrations").render_as_string(hide_password=False))
    config = alembic.config.Config(ROOT / "alembic.ini")
    alembic.command.upgrade(config, "head")
    alembic.command.check(config)
    alembic.command.downgrade(config, "base")
    alembic.command.upgrade(config, "head")
