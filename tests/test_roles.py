from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from sqlalchemy import exc, text

from core import database, errors, roles
from tests.conftest import Platform, until
from tests.waiting import WAITS_LONG, hasty

OWNER, APP = "coatcheck_owner", "coatcheck_app"


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY tenants (name) FROM PROGRAM 'id'",
        "COPY tenants (name) FROM '/etc/passwd'",
        "CREATE TABLE mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION jobs_guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE SCHEMA mine",
        "CREATE DATABASE mine",
        "CREATE ROLE mine SUPERUSER",
        "ALTER TABLE jobs ADD COLUMN mine int",
        "ALTER TABLE jobs OWNER TO coatcheck_app",
        "ALTER TABLE jobs DISABLE TRIGGER ALL",
        "ALTER FUNCTION jobs_guard() OWNER TO coatcheck_app",
        "DROP TABLE jobs",
        "DROP TRIGGER jobs_guard ON jobs",
        "DROP FUNCTION jobs_guard CASCADE",
        "TRUNCATE job_events",
        "CREATE TRIGGER mine BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION jobs_guard()",
        "CREATE RULE mine AS ON DELETE TO jobs DO INSTEAD NOTHING",
        "CREATE INDEX mine ON jobs (id)",
        "SET session_replication_role = replica",
        "SET ROLE coatcheck_owner",
        "SET SESSION AUTHORIZATION postgres",
        "GRANT coatcheck_owner TO coatcheck_app",
        "ALTER ROLE coatcheck_app SUPERUSER",
        "ALTER ROLE coatcheck_owner PASSWORD 'mine'",
        "ALTER SYSTEM SET archive_command = 'id'",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "UPDATE pg_trigger SET tgenabled = 'D'",
        "UPDATE alembic_version SET version_num = '0001'",
        "SELECT setval('job_events_id_seq', 1)",
    ],
)
def test_the_app_uses_the_database_and_does_not_own_it(platform: Platform, statement: str) -> None:
    engine = platform.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(exc.DBAPIError) as caught:
        connection.exec_driver_sql(statement)
    assert isinstance(caught.value.orig, psycopg.errors.InsufficientPrivilege)


def test_neither_role_is_more_than_it_seems(platform: Platform) -> None:
    found = platform.rows(
        "SELECT rolname, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles"
        " WHERE rolname IN ('coatcheck_owner', 'coatcheck_app') ORDER BY 1"
    )
    assert [tuple(row) for row in found] == [(APP, False), (OWNER, False)]
    assert platform.rows("SELECT FROM pg_auth_members WHERE pg_get_userbyid(member) IN (:a, :o)", a=APP, o=OWNER) == []


TABLES = """
SELECT relname, relkind, pg_get_userbyid(relowner), array(
  SELECT verb
  FROM unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN']) verb
  WHERE has_table_privilege('coatcheck_app', oid, verb))
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT relname, relkind, pg_get_userbyid(relowner), array(
  SELECT verb FROM unnest(array['SELECT', 'USAGE', 'UPDATE']) verb
  WHERE has_sequence_privilege('coatcheck_app', oid, verb))
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
"""
FUNCTIONS = """
SELECT proname, pg_get_userbyid(proowner), prosecdef, has_function_privilege('coatcheck_app', oid, 'EXECUTE')
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


def test_every_table_and_function_is_the_owners_and_the_apps_to_use(platform: Platform) -> None:
    rights = {"r": ["SELECT", "INSERT", "UPDATE", "DELETE"], "S": ["USAGE"]}
    tables = platform.rows(TABLES)
    assert {"jobs", "webhook_deliveries", "alembic_version", "job_events_id_seq"} <= {row[0] for row in tables}
    for name, kind, owner, granted in tables:
        assert (owner, granted) == (OWNER, [] if name == "alembic_version" else rights[str(kind)]), name
    functions = platform.rows(FUNCTIONS)
    assert "jobs_guard" in {row[0] for row in functions}
    assert {tuple(row[1:]) for row in functions} == {(OWNER, False, True)}


def test_a_table_of_a_later_migration_is_the_apps_to_use_at_once(platform: Platform) -> None:
    owner = database.create_engine(platform.engines.env["DATABASE_OWNER_URL"])
    with owner.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE later (id bigserial, x int)")
    try:
        with platform.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO later (x) VALUES (1)")
            connection.exec_driver_sql("UPDATE later SET x = 2")
            assert connection.exec_driver_sql("SELECT id, x FROM later").one() == (1, 2)
            connection.exec_driver_sql("DELETE FROM later")
    finally:
        with owner.begin() as connection:
            connection.exec_driver_sql("DROP TABLE later")
        owner.dispose()


def test_the_guard_holds_for_the_app(platform: Platform, quiet: None, new_job: Callable[..., object]) -> None:
    new_job()
    with platform.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET status = 'canceled'")
    with pytest.raises(exc.IntegrityError, match="is terminal"), platform.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET status = 'pending'")


@pytest.fixture
def old(platform: Platform) -> Iterator[sqlalchemy.URL]:
    """A database of a superuser, as it was before there were roles, with a function and a view."""
    url = sqlalchemy.make_url(platform.engines.superuser_url).set(database="old")
    with platform.admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE DATABASE old")
    yield url
    with platform.admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("DROP DATABASE old WITH (FORCE)")
        for name in ('odd"owner"%s', "odd'app'$$%(x)s:y"):
            connection.connection.cursor().execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def test_a_database_of_a_superuser_is_handed_over_to_roles_of_any_name(old: sqlalchemy.URL) -> None:
    def address(**parts: str) -> str:
        return old.set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]

    def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            done = [connection.execute(statement.encode()) for statement in statements][-1]
            return done.fetchall() if done.description else []

    # What an extension made is no business of ours, and keeps nothing else from its owner.
    run(address(), "CREATE EXTENSION pg_buffercache", "ALTER EXTENSION pg_buffercache SET SCHEMA public")
    made = ("CREATE TABLE public.\"Jo bs\" (id serial, x int)", "INSERT INTO public.\"Jo bs\" (x) VALUES (1)",
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE VIEW v AS SELECT 1")  # fmt: skip
    run(address(), *made)
    # Nor is what somebody else has made, or what Postgres itself has.
    theirs_too = ("CREATE TABLE theirs (x int)", f"ALTER TABLE theirs OWNER TO {OWNER}",
                  "CREATE FUNCTION g(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                  f"ALTER FUNCTION g OWNER TO {OWNER}")  # fmt: skip
    run(address(), *theirs_too)
    others = ("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'theirs' UNION ALL "
              "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'g'")  # fmt: skip
    built_in = "SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
    # A password and names with all that could end a string too early.
    owner = address(username='odd"owner"%s', password="p'\"@:/%41\\")
    app = address(username="odd'app'$$%(x)s:y", password=secrets.token_urlsafe())
    for _ in range(2):
        roles.ensure(superuser_url=address(), owner_url=owner, app_url=app, say=print)
    assert run(owner, 'ALTER TABLE "Jo bs" ADD COLUMN y int', "DROP VIEW v", "DROP FUNCTION f", "SELECT 1") == [(1,)]
    assert run(app, 'SELECT x, y FROM "Jo bs"') == [(1, None)]
    theirs = "SELECT DISTINCT {}::regrole::text FROM pg_{} WHERE {}namespace = 'public'::regnamespace AND {}"
    for kind, prefix, which in (("class", "rel", "relkind = 'v'"), ("proc", "pro", "proname LIKE 'pg_buffercache%'")):
        found = run(address(), theirs.format(f"{prefix}owner", kind, prefix, which))
        assert found == [("postgres",)]
    assert (run(address(), others), run(address(), built_in)) == ([(OWNER,), (OWNER,)], [("postgres",)])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(app, 'DROP TABLE "Jo bs"')


def test_roles_that_are_not_three_are_refused_in_a_sentence(platform: Platform) -> None:
    app, owner = platform.settings.database_url, platform.engines.env["DATABASE_OWNER_URL"]
    superuser = platform.engines.superuser_url
    with pytest.raises(errors.SettingsInvalid, match="three roles"):
        roles.ensure(superuser_url=superuser, owner_url=app, app_url=app, say=print)
    with pytest.raises(errors.SettingsInvalid, match="three roles"):
        roles.ensure(superuser_url=superuser, owner_url=owner, app_url=superuser, say=print)
    for without in ("owner_url", "app_url"):
        urls: dict[str, Any] = {"superuser_url": superuser, "owner_url": owner, "app_url": app, "say": print}
        bare = sqlalchemy.make_url(urls[without]).set(password="").render_as_string(hide_password=False)
        with pytest.raises(errors.SettingsInvalid, match="each with its password"):
            roles.ensure(**{**urls, without: bare})
    other = sqlalchemy.make_url(owner).set(username="other").render_as_string(hide_password=False)
    with pytest.raises(errors.SettingsInvalid, match="coatcheck_owner is no superuser"):
        roles.ensure(superuser_url=owner, owner_url=other, app_url=app, say=print)
    assert platform.one("SELECT count(*) FROM pg_roles WHERE rolname = 'other'") == (0,)


def test_roles_are_made_by_one_at_a_time_and_beside_no_migration(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, owner = platform.settings.database_url, platform.engines.env["DATABASE_OWNER_URL"]
    urls = {"superuser_url": platform.engines.superuser_url, "owner_url": owner, "app_url": app}
    said: list[str] = []
    hasty(monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        with platform.admin.begin() as migration:
            migration.execute(text("SELECT pg_advisory_xact_lock(727274)"))
            making = pool.submit(roles.ensure, **urls, say=said.append)
            until(lambda: making.done() or platform.rows(WAITS_LONG))
            assert not making.done()
        making.result(60)
    # Who has ended is there for a moment more.
    until(lambda: not platform.rows("SELECT FROM pg_locks WHERE locktype = 'advisory'"))
    roles.ensure(**urls, say=said.append)
    assert said == ["Somebody else changes the tables or roles of this database: waiting for them"]


def test_no_password_is_in_a_statement(platform: Platform) -> None:
    """Postgres may log those, and what it keeps is a hash."""
    app, owner = platform.settings.database_url, platform.engines.env["DATABASE_OWNER_URL"]
    with platform.admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ALTER ROLE postgres SET log_statement = 'all'")
        roles.ensure(superuser_url=platform.engines.superuser_url, owner_url=owner, app_url=app, say=print)
        connection.exec_driver_sql("ALTER ROLE postgres RESET log_statement")
    told = (platform.engines.folder / "postgres.log").read_text()
    assert f'ALTER ROLE "{APP}" LOGIN' in told
    assert not [url for url in (app, owner) if str(sqlalchemy.make_url(url).password) in told]
