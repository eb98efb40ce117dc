"""With millions of ended jobs, no statement of a job's life may read them all."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import text

from jobs import (
    backlog,
    chores,
    claim,
    events,
    fairness,
    figures,
    idempotency,
    lease,
    place,
    queries,
    rescue,
    retention,
    settle,
    shown,
)
from jobs.bulk import progress
from jobs.job import Status
from tests.conftest import Platform

ENDED = 60_000

# Straight past the guards: only the shape of the table matters here.
FILL = """
INSERT INTO jobs (id, tenant_id, kind, pool, model, version, lane, status, expires_at, attempt, max_attempts, timeout_s,
                  inputs, options, metadata, request_id, finished_at, lease_expires_at, created_at)
SELECT gen_random_uuid(), tenant, 'predict', 'cpu', 'sentiment', '1.0.0', 'cpu/predict/sentiment/1.0.0', state,
       now() + interval '1 day', 1, 4, 300, '{}', '{}', '{}', 'req',
       CASE WHEN state IN ('completed', 'failed') THEN now() END, CASE WHEN state = 'processing' THEN now() END, now()
FROM unnest(CAST(:tenants AS uuid[])) AS tenant, unnest(CAST(:states AS text[])) AS state, generate_series(1, :count)
"""


@pytest.fixture(scope="module")
def crowded(platform: Platform) -> Iterator[sqlalchemy.Connection]:
    """A connection that sees many ended jobs of several tenants and a few open ones; nothing is kept."""
    tenants = [platform.new_tenant()[0].tenant_id for _ in range(3)]
    with platform.admin.connect() as connection:
        connection.execute(text("TRUNCATE jobs, job_results, job_events, usage"))
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


ID = uuid.UUID(int=1)
MINE = {"id": ID, "tenant_id": ID}
ONE = {"ids": [ID], "attempts": [1]}
LOST = {"limit": 500, "max_losses": 3, "base_s": 5.0}
STATEMENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "claim": (claim._CLAIM, {"pool": "cpu", "worker": "w", "wake_id": "w", "lease_s": 20}),
    "heartbeat": (lease._HEARTBEAT, {**ONE, "progress": [1], "lease_s": 20}),
    "complete": (settle._COMPLETE, {**ONE, "bodies": ["{}"], "units": [1], "run_ms": [1]}),
    "fail": (settle._FAIL, {"id": ID, "attempt": 1, "error": "{}"}),
    "retry": (settle._RETRY, {"id": ID, "attempt": 1, "error": "{}", "delay_s": 1.0}),
    "give back": (settle._GIVE_BACK, {"id": ID, "attempt": 1}),
    "put off": (settle._PUT_OFF, {"id": ID, "attempt": 1, "error": "{}", "delay_s": 1.0}),
    "own last": (fairness._OWN_LAST, {"tenant_id": ID, "pool": "cpu"}),
    "head": (fairness._HEAD, {"pool": "cpu"}),
    "rescue by lease": (rescue._LEASE_OVER, LOST),
    "rescue of a child's": (rescue._CHILD_DIED, {**LOST, "wake_id": "w"}),
    "rescue of a node's": (rescue._NODE_BORN_AGAIN, {**LOST, "node": "n", "incarnation": "n/i"}),
    "expire pending": (chores._EXPIRE_BY[Status.PENDING], {"limit": 500}),
    "expire processing": (chores._EXPIRE_BY[Status.PROCESSING], {"limit": 500}),
    "due": (chores._DUE, {"pool": "cpu"}),
    "old": (retention._OLD_JOBS, {"limit": 500}),
    "old results in the store": (retention._STORED, {"ids": [ID]}),
    "purge": (retention._PURGE, {"ids": [ID]}),
    "backlog": (backlog._WAITING, {"tenant_id": ID, "most": 1000}),
    "place": (
        place._PLACE,
        {**MINE, "fair_at": dt.datetime.now(dt.UTC), "pool": "cpu", "most": 1000, "silent_s": 15},
    ),
    "queues": (figures._QUEUE, {"pools": ["cpu", "gpu"]}),
    "rare events": (shown._RARE, {"back_s": 15, "told": [1], "limit": 200}),
    "poll": (queries._STATUS, MINE),
    "get": (queries._GET, MINE),
    "cancel": (queries._CANCEL, MINE),
    "events": (events._AFTER, {"job_id": ID, "after": 0, "limit": 10}),
    "purge chunks": (retention._PURGE_CHUNKS, {"id": ID, "limit": 500}),
    "old files": (retention._OLD_BULK, {"limit": 1}),
    "advance": (progress._ADVANCE, {"id": None, "limit": 100, "fail_fast": "fail_fast"}),
    "advance one": (progress._ADVANCE, {"id": ID, "limit": 100, "fail_fast": "fail_fast"}),
    "chunks open": (progress._OPEN, {"id": ID}),
    "chunks": (progress._CHUNKS, {"id": ID}),
    "rows": (progress._COUNT, {"id": ID, "fail_fast": "fail_fast"}),
    "parts": (progress._PARTS, {"id": ID, "after": 1, "limit": 10}),
    "purge keys": (idempotency._PURGE, {"keep_s": 1, "limit": 500}),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_reads_every_job(crowded: sqlalchemy.Connection, name: str) -> None:
    statement, parameters = STATEMENTS[name]
    plan = "\n".join(crowded.execute(text(f"EXPLAIN {statement.text}"), parameters).scalars())
    for table in ("jobs", "job_results", "job_events"):
        assert f"Seq Scan on {table}" not in plan, plan


@pytest.mark.parametrize("filters", [{}, {"status": "failed"}, {"status": "pending"}, {"status": "completed"}])
def test_no_listing_reads_every_job(crowded: sqlalchemy.Connection, filters: dict[str, str]) -> None:
    given = {"tenant_id": ID, "limit": 21, **filters}
    statement = text(f"EXPLAIN {queries._listing(given)}")
    plan = "\n".join(crowded.execute(statement, given).scalars())
    assert "Seq Scan on jobs" not in plan, plan
