from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import alembic.command
import alembic.config
import alembic.util
import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import text

from cli.migrate import migrate
from tests.conftest import ROOT, Platform


@pytest.fixture
def config() -> alembic.config.Config:
    return alembic.config.Config(ROOT / "alembic.ini")


@pytest.fixture
def owner(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, config: alembic.config.Config
) -> Iterator[sqlalchemy.Engine]:
    """The owner of a database of its own, with all tables."""
    url = sqlalchemy.make_url(platform.engines.env["DATABASE_OWNER_URL"])
    admin = platform.admin.execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS migrations WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE migrations OWNER {url.username}")
    monkeypatch.setenv("DATABASE_OWNER_URL", url.set(database="migrations").render_as_string(hide_password=False))
    alembic.command.upgrade(config, "head")
    engine = sqlalchemy.create_engine(url.set(database="migrations"), poolclass=sqlalchemy.NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def down(config: alembic.config.Config) -> Callable[..., None]:
    def go(*said: str) -> None:
        config.cmd_opts = argparse.Namespace(x=list(said))
        alembic.command.downgrade(config, "base")

    return go


def tables(owner: sqlalchemy.Engine) -> set[str]:
    return set(sqlalchemy.inspect(owner).get_table_names())


def test_tables_and_migrations_say_the_same_and_go_both_ways(
    owner: sqlalchemy.Engine, config: alembic.config.Config, down: Callable[..., None]
) -> None:
    alembic.command.check(config)
    down()
    assert tables(owner) == {"alembic_version"}
    alembic.command.upgrade(config, "head")
    assert "jobs" in tables(owner)


def test_going_down_drops_no_data_unless_told_so_twice(owner: sqlalchemy.Engine, down: Callable[..., None]) -> None:
    with owner.begin() as connection:
        connection.execute(text("INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'kept')"))
    for said in ((), ("drop-data=yes",), ("database=migrations",), ("drop-data=yes", "database=postgres")):
        with pytest.raises(alembic.util.CommandError, match="there is some in tenants"):
            down(*said)
        with owner.connect() as connection:
            assert connection.execute(text("SELECT name FROM tenants")).scalar() == "kept"
    down("drop-data=yes", "database=migrations")
    assert tables(owner) == {"alembic_version"}


def test_nothing_goes_down_while_somebody_is_connected(owner: sqlalchemy.Engine, down: Callable[..., None]) -> None:
    with owner.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.rollback()
        with pytest.raises(alembic.util.CommandError, match="stop it first"):
            down("drop-data=yes", "database=migrations")
    assert "jobs" in tables(owner)


@pytest.mark.parametrize("revision", ["base", "0003"])
def test_the_command_does_not_take_going_down_for_done(owner: sqlalchemy.Engine, revision: str) -> None:
    done = CliRunner().invoke(migrate, [revision])
    head = ScriptDirectory.from_config(alembic.config.Config(ROOT / "alembic.ini")).get_current_head()
    assert (done.exit_code, f"The database is at {head} and stays there" in done.output) == (1, True)
    assert CliRunner().invoke(migrate, []).exit_code == 0
