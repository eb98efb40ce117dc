from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import alembic.command
import alembic.config
import alembic.util
import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import text

import models
from cli.main import coatcheck
from inference.output import Label, Record
from jobs import result
from jobs.result import Fault, Result, Several, Stored
from tests import factories
from tests.conftest import ROOT, Platform
from tests.engines import until


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


def test_what_postgres_sweeps_up_by_itself_is_nobody_who_is_connected(
    platform: Platform, owner: sqlalchemy.Engine, down: Callable[..., None]
) -> None:
    admin = platform.admin.execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as settings, owner.begin() as connection:
        settings.exec_driver_sql("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        settings.exec_driver_sql("SELECT pg_reload_conf()")
        # Slow enough to be at work still.
        connection.exec_driver_sql(
            "CREATE TABLE swept WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1) "
            "AS SELECT n FROM generate_series(1, 200000) AS n"
        )
    with owner.begin() as connection:
        connection.exec_driver_sql("DELETE FROM swept")
    swept = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'migrations' AND backend_type = 'autovacuum worker'"
    try:
        until(lambda: platform.one(swept) == (1,))
        down()
        assert platform.one(swept) == (1,)
    finally:
        with admin.connect() as settings:
            settings.exec_driver_sql("ALTER SYSTEM RESET autovacuum_naptime")
            settings.exec_driver_sql("SELECT pg_reload_conf()")
    assert tables(owner) == {"alembic_version", "swept"}


@pytest.mark.parametrize("revision", ["base", "0003"])
def test_the_command_does_not_take_going_down_for_done(owner: sqlalchemy.Engine, revision: str) -> None:
    done = CliRunner().invoke(coatcheck, ["migrate", revision])
    head = ScriptDirectory.from_config(alembic.config.Config(ROOT / "alembic.ini")).get_current_head()
    assert (done.exit_code, f"The database is at {head} and stays there" in done.output) == (1, True)
    assert CliRunner().invoke(coatcheck, ["migrate"]).exit_code == 0


def test_the_tables_are_made_from_a_folder_with_any_name(
    owner: sqlalchemy.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "50%(here)s"
    checkout.symlink_to(ROOT)
    monkeypatch.setattr("cli.database.ROOT", checkout)
    done = CliRunner().invoke(coatcheck, ["migrate"])
    assert (done.exit_code, done.output) == (0, "")


def test_going_down_leaves_results_as_the_release_before_reads_them(
    platform: Platform, owner: sqlalchemy.Engine, config: alembic.config.Config
) -> None:
    good = Label("a", 0.5, {"a": 0.5, "b": 0.5})
    shown = {"prediction": "a", "confidence": 0.5, "scores": {"a": 0.5, "b": 0.5}}
    error = {"code": "INVALID_INPUT"}
    results: list[tuple[Result, object]] = [
        (good, shown),
        (Several([good, Fault(error)]), {"predictions": [shown, {"error": error}]}),
        (Record({"pages": []}), {"pages": []}),
        (
            Several([Fault({"field": "\0"})]),
            {"form": "several", "items": [{"form": "fault", "error": {"field": "\0"}}]},
        ),
        (Stored("k", 9), {"form": "stored", "stored_key": "k", "bytes": 9}),
    ]
    admin = sqlalchemy.create_engine(platform.admin.url.set(database="migrations"), poolclass=sqlalchemy.NullPool)
    with admin.begin() as connection:
        for number, (found, _) in enumerate(results):
            factories.put(connection, models.JobResult, job_id=UUID(int=number), body=result.dump(found))
        factories.put(connection, models.JobEvent, job_id=UUID(int=0), type="output", output={"pieces": []})
        factories.put(connection, models.JobEvent, job_id=UUID(int=0), type="failed")
    config.cmd_opts = argparse.Namespace(x=["drop-data=yes", "database=migrations"])
    alembic.command.downgrade(config, "0010")
    with owner.connect() as connection:
        left = connection.execute(text("SELECT body FROM job_results ORDER BY job_id")).scalars().all()
        events = connection.execute(text("SELECT type FROM job_events")).scalars().all()
    assert (left, events) == ([before for _, before in results], ["failed"])
    alembic.command.upgrade(config, "head")
    assert [result.load(body) for body in left] == [found for found, _ in results]


def test_going_down_forgets_versions_whose_bundle_is_gone_and_models_that_have_no_other(
    platform: Platform, owner: sqlalchemy.Engine, config: alembic.config.Config
) -> None:
    gone = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    says = {("a", "1"): {}, ("a", "2"): {"forgotten_at": gone}, ("b", "1"): {"forgotten_at": gone}}
    says |= {("c", "1"): {"removed_at": gone}}
    admin = sqlalchemy.create_engine(platform.admin.url.set(database="migrations"), poolclass=sqlalchemy.NullPool)
    with admin.begin() as connection:
        for name in ("a", "b", "c"):
            factories.put(connection, models.Model, name=name)
        for (name, version), more in says.items():
            factories.put(connection, models.ModelVersion, model=name, version=version, **more)
    config.cmd_opts = argparse.Namespace(x=["drop-data=yes", "database=migrations"])
    alembic.command.downgrade(config, "0011")
    with owner.connect() as connection:
        versions = connection.execute(text("SELECT model, version FROM model_versions ORDER BY model")).all()
        left = connection.execute(text("SELECT name FROM models ORDER BY name")).scalars().all()
    assert ([tuple(row) for row in versions], left) == ([("a", "1"), ("c", "1")], ["a", "c"])


def test_going_down_opens_nothing_to_a_key_that_was_not_open_to_it(
    platform: Platform, owner: sqlalchemy.Engine, config: alembic.config.Config
) -> None:
    long_ago = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    narrow = {"expires_at": dt.datetime(2999, 1, 1, tzinfo=dt.UTC), "models": ["tumor"], "networks": ["10.0.0.0/8"]}
    says = {"any": {}, "ended": {"revoked_at": long_ago, **narrow}, **{name: {name: narrow[name]} for name in narrow}}
    tenants = {"internal": UUID(int=1), "pro": UUID(int=2)}
    admin = sqlalchemy.create_engine(platform.admin.url.set(database="migrations"), poolclass=sqlalchemy.NullPool)
    with admin.begin() as connection:
        for tier, tenant in tenants.items():
            factories.put(connection, models.Tenant, id=tenant, name=tier, tier=tier)
        for name, more in says.items():
            factories.put(connection, models.ApiKey, id=name, tenant_id=tenants["pro"], **more)
    config.cmd_opts = argparse.Namespace(x=["drop-data=yes", "database=migrations"])
    alembic.command.downgrade(config, "0012")
    with owner.connect() as connection:
        revoked = dict(tuple(row) for row in connection.execute(text("SELECT id, revoked_at FROM api_keys")))
        tiers = dict(tuple(row) for row in connection.execute(text("SELECT name, tier FROM tenants")))
    assert (revoked.pop("any"), revoked.pop("ended")) == (None, long_ago)
    assert all(revoked.values())
    assert tiers == {"internal": "free", "pro": "pro"}


def test_no_ramp_leads_to_all_of_the_traffic_any_more(
    platform: Platform, owner: sqlalchemy.Engine, config: alembic.config.Config
) -> None:
    def canary(name: str, percent: float, *to: float) -> dict[str, object]:
        ramp = {"to": list(to), "requests": 10, "then": "promote"} if to else None
        return {"name": name, "version": "2.0.0", "percent": percent, "ramp": ramp}

    stored = {
        "whole": [canary("a", 5, 50, 100)],
        "there": [canary("a", 100, 50, 100)],
        "one": [canary("a", 5, 100)],
        "both": [canary("a", 40), canary("b", 1, 30, 60)],
        "less": [canary("a", 5, 50, 99)],
        "none": [],
    }
    admin = sqlalchemy.create_engine(platform.admin.url.set(database="migrations"), poolclass=sqlalchemy.NullPool)
    config.cmd_opts = argparse.Namespace(x=["drop-data=yes", "database=migrations"])
    alembic.command.downgrade(config, "0018")
    with admin.begin() as connection:
        for name, canaries in stored.items():
            factories.put(connection, models.Model, name=name, routes={"by": "request", "canaries": canaries})
    alembic.command.upgrade(config, "head")
    with owner.connect() as connection:
        found = dict(tuple(row) for row in connection.execute(text("SELECT name, routes FROM models")))
    ramps = {
        name: [item["ramp"] and item["ramp"]["to"] for item in routes["canaries"]] for name, routes in found.items()
    }
    assert ramps == {
        "whole": [[50]], "there": [None], "one": [None], "both": [None, [30]], "less": [[50, 99]], "none": [],
    }  # fmt: skip
    assert found["less"]["canaries"] == stored["less"]
