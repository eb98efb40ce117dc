"""What commands for operators are made of: what they ask for, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
import sqlalchemy

from cli import operators
from core import errors
from storage.objects import Store
from tests.cli.conftest import Run
from tests.conftest import Platform


@pytest.fixture
def database_alone(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is known, and no store."""
    for name in ("S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY", "REDIS_URL", "COATCHECK_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_command_that_needs_the_database_reads_and_makes_nothing_else(database_alone: None) -> None:
    with operators.parts() as parts:
        with parts.engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
        assert [kind for kind in vars(parts) if kind in ("store", "catalog", "seal")] == []
        assert parts.engine is parts.engine


@pytest.mark.parametrize("part", ["store", "catalog", "seal"])
def test_a_part_without_its_settings_is_said_with_where_operators_have_them_from(
    database_alone: None, part: str
) -> None:
    told = r"not set.*; in a checkout, `\. \.coatcheck/env\.admin`"
    with pytest.raises(errors.SettingsInvalid, match=told), operators.parts() as parts:
        getattr(parts, part)


def test_a_setting_that_is_wrong_is_in_no_file_and_said_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "nonsense")
    with pytest.raises(errors.SettingsInvalid, match="DATABASE_URL") as caught, operators.parts() as parts:
        _ = parts.engine
    assert "env.admin" not in caught.value.message


def test_the_catalog_lists_what_lies_in_the_store_that_is_pushed_to(platform: Platform) -> None:
    with operators.parts() as parts:
        assert isinstance(parts.store, Store)
        assert {item.model for item in parts.catalog.versions()} >= {"sentiment"}


def test_no_connection_outlives_a_command_that_fails(platform: Platform) -> None:
    pools: list[Any] = []

    def fail() -> None:
        with operators.parts() as parts, parts.engine.connect():
            pools.append(parts.engine.pool)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [pool.checkedin() for pool in pools] == [0]


def opens(url: str) -> bool:
    try:
        psycopg.connect(url.replace("+psycopg", "")).close()
    except psycopg.OperationalError:
        return False
    return True


def test_roles_wants_three_addresses_and_gives_two_roles_the_passwords_in_theirs(platform: Platform, run: Run) -> None:
    own = ("DATABASE_OWNER_URL", "DATABASE_URL")
    given = {name: platform.engines.env[name] for name in own}
    given["DATABASE_SUPERUSER_URL"] = platform.engines.superuser_url
    for name in given:
        done = run("roles", **{other: url for other, url in given.items() if other != name})
        assert (done.code, done.out) == (2, "")
        assert f" {name} not set " in done.err
    for role in ("coatcheck_owner", "coatcheck_app"):
        platform.execute(f"ALTER ROLE {role} PASSWORD 'another'")
    assert not any(opens(given[name]) for name in own)
    done = run("roles", **given)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert all(opens(given[name]) for name in own)


def test_a_database_without_tables_is_told_with_what_makes_them(platform: Platform, run: Run) -> None:
    with platform.admin.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        alone.exec_driver_sql("CREATE DATABASE bare")
        try:
            url = sqlalchemy.make_url(platform.engines.env["DATABASE_URL"]).set(database="bare")
            done = run("tenants", "list", "--json", DATABASE_URL=url.render_as_string(hide_password=False))
        finally:
            alone.exec_driver_sql("DROP DATABASE bare WITH (FORCE)")
    error = json.loads(done.err)["error"]
    assert (done.code, error["code"], error["retryable"]) == (1, "NOT_MIGRATED", False)
    assert error["message"].endswith("run `coatcheck migrate`")
