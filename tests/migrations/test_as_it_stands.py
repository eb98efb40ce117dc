"""What all migrations come to, kept word for word: tables, triggers, functions, indexes and the shipped tiers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import alembic.command
import alembic.config
import pytest
import sqlalchemy
from sqlalchemy import text

from tests.conftest import ROOT, Platform

KEPT = Path(__file__).parent / "schema.txt"
#: Each gives lines, in an order of its own.
PARTS = {
    "columns": """
SELECT format('%s.%s %s%s%s', table_name, column_name, format_type(atttypid, atttypmod),
  CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END,
  coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid),
    CASE attidentity WHEN '' THEN '' ELSE ' IDENTITY ' || CAST(attidentity AS text) END))
FROM information_schema.columns JOIN pg_attribute ON attrelid = table_name::regclass AND attname = column_name
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE table_schema = 'public' ORDER BY table_name, column_name""",
    "constraints": """
SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY conrelid::regclass::text, conname""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname",
    "triggers": """
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgrelid::regclass::text, tgname""",
    "functions": """
SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY proname""",
    "storage": """
SELECT format('%s %s', relname, array_to_string(reloptions, ' ')) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL ORDER BY relname""",
    "tiers": "SELECT to_json(tiers)::text FROM tiers ORDER BY name",
}


@pytest.fixture
def fresh(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlalchemy.Connection]:
    """A database of its own, in which nobody has done anything but migrate it."""
    url = sqlalchemy.make_url(platform.engines.superuser_url)
    with platform.admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS as_it_stands WITH (FORCE)")
        connection.exec_driver_sql("CREATE DATABASE as_it_stands")
    monkeypatch.setenv("DATABASE_OWNER_URL", url.set(database="as_it_stands").render_as_string(hide_password=False))
    alembic.command.upgrade(alembic.config.Config(ROOT / "alembic.ini"), "head")
    engine = sqlalchemy.create_engine(url.set(database="as_it_stands"), poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        yield connection


def test_all_migrations_come_to_what_is_kept(fresh: sqlalchemy.Connection) -> None:
    """`UPDATE_SCHEMA=1 ./run test tests/migrations/test_as_it_stands.py` writes it anew where a change is meant; the
    diff is then read with the migration's."""
    lines = []
    for name, query in PARTS.items():
        lines += [f"-- {name}", *(row[0].rstrip() for row in fresh.execute(text(query))), ""]
    found = "\n".join(lines)
    if os.environ.get("UPDATE_SCHEMA"):
        KEPT.write_text(found)
    assert found == KEPT.read_text()
