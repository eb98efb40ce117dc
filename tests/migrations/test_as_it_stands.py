"""What all migrations come to, kept word for word: tables, triggers, functions, indexes and the shipped tiers."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import alembic.command
import alembic.config
import alembic.script
import sqlalchemy
from sqlalchemy import text

KEPT = Path(__file__).parent / "schema.txt"
#: Of the schema after each migration, the SHA-256.
STEPS = KEPT.with_name("steps.txt")
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


def schema(engine: sqlalchemy.Engine) -> str:
    """All of it as text; "" where there is none."""
    with engine.connect() as connection:
        if not connection.execute(text("SELECT to_regclass('tiers')")).scalar():
            return ""
        lines = []
        for name, query in PARTS.items():
            lines += [f"-- {name}", *(row[0].rstrip() for row in connection.execute(text(query))), ""]
    return "\n".join(lines)


def test_all_migrations_come_to_what_is_kept(empty: sqlalchemy.Engine, config: alembic.config.Config) -> None:
    """`UPDATE_SCHEMA=1 ./run test tests/migrations/test_as_it_stands.py` writes it anew where a change is meant; the
    diff is then read with the migration's."""
    alembic.command.upgrade(config, "head")
    found = schema(empty)
    if os.environ.get("UPDATE_SCHEMA"):
        KEPT.write_text(found)
    assert found == KEPT.read_text()


def test_each_step_comes_to_what_it_always_came_to_and_back(
    empty: sqlalchemy.Engine, config: alembic.config.Config
) -> None:
    """A migration that databases have gone through is not changed any more, but followed by another one."""
    scripts = alembic.script.ScriptDirectory.from_config(config)
    steps = [step.revision for step in scripts.walk_revisions()][::-1]
    found, before = [], {"base": ""}
    for step in steps:
        alembic.command.upgrade(config, step)
        found.append(f"{step} {hashlib.sha256(schema(empty).encode()).hexdigest()}\n")
        before[step] = schema(empty)
    if os.environ.get("UPDATE_SCHEMA"):
        STEPS.write_text("".join(found))
    assert "".join(found) == STEPS.read_text()
    for step, to in reversed(list(zip(steps, ["base", *steps], strict=False))):
        alembic.command.downgrade(config, to)
        # Functions are kept as they were written, with lines and comments.
        back, then = (re.sub("--.*", "", said).split() for said in (schema(empty), before[to]))
        assert back == then, f"{step} downgraded"
