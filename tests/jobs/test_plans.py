"""With millions of ended jobs, no statement of a job's life may read them all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import text

import access
import core
import jobs
import registry
import webhooks
from core import ids
from jobs import queries, submit
from jobs.shadows import copies
from tests import statements
from tests.conftest import Platform, truncate

ENDED = 60_000

# Straight past the guards: only the shape of the table matters here.
FILL = """
INSERT INTO jobs (id, tenant_id, kind, batches, pool, model, version,
                  lane, status, expires_at, attempt, max_attempts, timeout_s,
                  inputs, options, metadata, request_id, finished_at, lease_expires_at, created_at)
SELECT gen_random_uuid(), tenant, 'predict', true, 'cpu', 'sentiment', '1.0.0', 'cpu/predict/sentiment/1.0.0', state,
       now() + interval '1 day', 1, 4, 300, '{}', '{}', '{}', 'req',
       CASE WHEN state IN ('completed', 'failed') THEN now() END, CASE WHEN state = 'processing' THEN now() END, now()
FROM unnest(CAST(:tenants AS uuid[])) AS tenant, unnest(CAST(:states AS text[])) AS state, generate_series(1, :count)
"""


@pytest.fixture(scope="module")
def crowded(platform: Platform) -> Iterator[sqlalchemy.Connection]:
    """A connection that sees many ended jobs of several tenants and a few open ones; nothing is kept."""
    tenants = [platform.new_tenant()[0].tenant_id for _ in range(3)]
    with platform.admin.connect() as connection:
        truncate(connection, "jobs, job_results, feedback, job_events, usage")
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        fill = {"tenants": tenants, "count": ENDED // 3}
        connection.execute(text(FILL), {**fill, "states": ["completed"]})
        connection.execute(text(FILL), {**fill, "count": 100, "states": ["pending", "processing", "failed"]})
        connection.execute(text("SET LOCAL session_replication_role = origin"))
        connection.execute(text("INSERT INTO job_results (job_id, attempt, body) SELECT id, 1, '{}' FROM jobs"))
        connection.execute(
            text("INSERT INTO job_events (job_id, type, progress, attempt) SELECT id, 'x', 0, 1 FROM jobs")
        )
        connection.execute(text("ANALYZE jobs, job_results, job_events, tenants, tiers"))
        yield connection
        connection.rollback()


ID = "00000000-0000-0000-0000-000000000001"
MOMENT, OBJECT, IDS, NUMBERS, OBJECTS = "2026-01-31", "{}", f"{{{ID}}}", "{1}", '{"{}"}'
#: What statements are given, as text, of which Postgres makes what it needs; where it is not here, "1" is good.
GIVEN: Mapping[str, str] = {
    **dict.fromkeys(("id", "job_id", "tenant_id", "endpoint_id", "old"), ID),
    **dict.fromkeys(("ids", "jobs", "tenants"), IDS),
    **dict.fromkeys(("expires_at", "fair_at", "floor", "since", "sunset_at", "until"), MOMENT),
    **dict.fromkeys(("leases_from", "renewed_since"), MOMENT),
    **dict.fromkeys(("error", "inputs", "manifest", "metadata", "options", "reply"), OBJECT),
    **dict.fromkeys(("bodies", "labels", "outputs"), OBJECTS),
    **dict.fromkeys(
        ("attempts", "before", "costs", "delays", "endings", "errors", "events", "failures", "in_parts", "kinds",
         "calls", "keys", "leaving", "metrics", "models", "ms", "prices", "versions",
         "names", "networks", "pools", "priorities", "progress", "responses", "run_ms", "scopes", "statuses", "targets",
         "times", "without",
         "told", "units", "values", "webhook_events", "wishes"),
        NUMBERS,
    ),
}  # fmt: skip
#: Where a name means something else.
ELSE: Mapping[str, Mapping[str, str]] = {
    "core.audit._INSERT": {"before": OBJECT, "after": OBJECT},
    "access.used._WRITE": {"times": f"{{{MOMENT}}}"},
    "access.adjustments._INSERT": {"units": "1"},
    "access.adjustments._PAGE": {"behind": ID},
    "jobs.bulk.progress._PARK": {"inputs": OBJECTS},
    "jobs.events._KNOWS": {"id": "1"},
    "jobs.events._NEW": {"after": NUMBERS},
    "jobs.reseal._JOBS": {"after": ID},
    "jobs.submit._INSERT": {
        **dict.fromkeys(submit._TYPES, NUMBERS),
        **dict.fromkeys(("id", "tenant_id"), IDS),
        **dict.fromkeys(("inputs", "options", "metadata"), OBJECTS),
    },
    "jobs.shadows.copies._PUT": {**dict.fromkeys(copies._TYPES, NUMBERS), "inputs": OBJECTS},
    "jobs.reseal._SECRETS": {"after": ID},
    "registry.judging.trials._UNITS": {"units": r"{}"},
}
ROOMS = (access, core, jobs, registry, webhooks)
STATEMENTS = {name: statement for room in ROOMS for name, statement in statements.constants(room).items()}
#: Which read a whole table on purpose: an operator's, for a bar of progress.
WHOLE = {"jobs.reseal._ROWS"}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_reads_every_job(crowded: sqlalchemy.Connection, name: str) -> None:
    statement = STATEMENTS[name]
    given = {item: {**GIVEN, **ELSE.get(name, {})}.get(item, "1") for item in statement._bindparams}
    with crowded.begin_nested() as aside:
        plan = "\n".join(crowded.execute(text(f"EXPLAIN {statement.text}"), given).scalars())
        aside.rollback()
    for table in ("jobs", "job_results", "job_events"):
        assert f"Seq Scan on {table} " not in plan or name in WHOLE, plan


@pytest.mark.parametrize("name", ["jobs.retention._OLD_JOBS", "jobs.retention._OLD_IN_PARTS"])
def test_what_is_too_young_to_be_forgotten_is_not_looked_at(crowded: sqlalchemy.Connection, name: str) -> None:
    given = {"in_parts": ["bulk"], "limit": 500}
    explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {STATEMENTS[name].text}")
    [plan] = crowded.execute(explained, given).scalar_one()
    # Ids of these tests are no moments: by chance, one of a hundred looks old.
    assert passed_over(plan["Plan"]) < ENDED / 10, plan


def passed_over(plan: Mapping[str, Any]) -> float:
    """How many rows were read for nothing."""
    mine = plan.get("Rows Removed by Filter", 0) * plan["Actual Loops"]
    return float(mine + sum(passed_over(part) for part in plan.get("Plans", ())))


def sorted_rows(plan: Mapping[str, Any]) -> float:
    """How many rows the largest sort was given."""
    mine = [part["Actual Rows"] for part in plan.get("Plans", ())] if plan["Node Type"].endswith("Sort") else []
    return max([*mine, *(sorted_rows(part) for part in plan.get("Plans", ()))], default=0.0)


@pytest.mark.parametrize("filters", [{}, {"status": "failed"}, {"status": "pending"}, {"status": "completed"}])
def test_no_listing_reads_every_job(crowded: sqlalchemy.Connection, filters: dict[str, str]) -> None:
    given = {"tenant_id": ID, "limit": 21, **filters}
    statement = text(f"EXPLAIN {queries._listing(given)}")
    plan = "\n".join(crowded.execute(statement, given).scalars())
    assert "Seq Scan on jobs" not in plan, plan


#: Ids of these tests are made by chance alone: one of 300 is before the year 2000, and one of 9 behind 9900.
@pytest.mark.parametrize(("name", "year", "part"), [("before", 2000, 0.03), ("after", 9900, 0.2)])
def test_a_listing_of_a_time_passes_over_no_job_of_others(
    crowded: sqlalchemy.Connection, name: str, year: int, part: float
) -> None:
    moment = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    tenant = crowded.execute(text("SELECT tenant_id FROM jobs LIMIT 1")).scalar_one()
    given = {"tenant_id": tenant, "limit": 21, f"created_{name}": moment, f"born_{name}": ids.born(moment)}
    explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries._listing(given)}")
    [plan] = crowded.execute(explained, given).scalar_one()
    assert passed_over(plan["Plan"]) < part * ENDED / 3, plan


def test_the_latest_that_were_judged_of_a_model_are_not_sorted_out_of_all(crowded: sqlalchemy.Connection) -> None:
    judged = """
    INSERT INTO feedback (job_id, model, version, at, number, true_number)
    SELECT id, 'm' || n % 20, 'v' || n % 3, now() - n * interval '1 s', 1, 1
    FROM (SELECT id, row_number() OVER () AS n FROM jobs) AS numbered
    """
    with crowded.begin_nested() as aside:
        crowded.execute(text("SET LOCAL session_replication_role = replica"))
        crowded.execute(text(judged))
        crowded.execute(text("ANALYZE feedback"))
        explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {STATEMENTS['jobs.quality._READ'].text}")
        [plan] = crowded.execute(explained, {"model": "m7", "most": 100}).scalar_one()
        aside.rollback()
    assert sorted_rows(plan["Plan"]) == 0, plan


def test_a_claim_sorts_no_backlog_where_statistics_are_of_a_moment_when_nothing_waited(
    crowded: sqlalchemy.Connection,
) -> None:
    fill = {"tenants": crowded.execute(text("SELECT id FROM tenants")).scalars().all()[:1], "states": ["pending"]}
    with crowded.begin_nested() as aside:
        crowded.execute(text("SET LOCAL session_replication_role = replica"))
        # The entries of what has left the queue stay, and make its indexes as large as their keys.
        crowded.execute(text(FILL), {**fill, "count": 20_000})
        crowded.execute(text("UPDATE jobs SET status = 'canceled', finished_at = now() WHERE status = 'pending'"))
        crowded.execute(text("ANALYZE jobs"))
        crowded.execute(text(FILL), {**fill, "count": 2000})
        given = {"pool": "cpu", "worker": "w", "wake_id": "1", "lease_s": 20, "floor": None, "leases_from": None,
                 "ahead": False}  # fmt: skip
        explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {STATEMENTS['jobs.claim._CLAIM'].text}")
        [plan] = crowded.execute(explained, given).scalar_one()
        aside.rollback()
    assert plan["Plan"]["Actual Rows"] > 1
    assert sorted_rows(plan["Plan"]) < 1000, plan
