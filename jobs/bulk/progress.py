"""A bulk job between its two halves: it is parked, processing under a lease without end that no worker holds, while
its chunks run. What ends it ends them (a trigger); when the last of them has ended, it is pending once more, to be
merged."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database, ids
from jobs.bulk.plan import Plan
from jobs.job import Claimed, ReturnErrors, Status
from jobs.payloads import Chunk as Payload
from jobs.result import Part, load

LIMIT = 100

# Parked, it still is of that attempt: a commit whose outcome was unknown, repeated, must not cut it twice.
# What its tenant has canceled meanwhile is not parked: no heartbeat would tell anybody.
_PARK = text("""
WITH mine AS (
  UPDATE jobs SET lease_expires_at = 'infinity', worker = NULL, wake_id = NULL,
    status = CASE WHEN cancel_requested_at IS NULL THEN 'processing' ELSE 'canceled' END,
    error = CASE WHEN cancel_requested_at IS NULL THEN error END
  WHERE id = :id AND status = 'processing' AND attempt = :attempt AND worker IS NOT NULL RETURNING *
), cut AS (
  INSERT INTO jobs (id, parent_id, tenant_id, kind, batches, pool, model, version, lane, priority, fair_at, expires_at,
                    max_attempts, timeout_s, key_id, unit_price, cost, inputs, options, metadata, request_id)
  SELECT chunk.id, mine.id, tenant_id, CAST(:kind AS text), false, pool, model, version,
         concat_ws('/', pool, CAST(:kind AS text), model, version), priority,
         greatest(fair_at, now()) + make_interval(secs => before / pace), expires_at,
         max_attempts, timeout_s, key_id, mine.unit_price, chunk.cost, CAST(chunk.inputs AS json), options,
         '{}', request_id
  FROM mine JOIN tenants ON tenants.id = tenant_id JOIN tiers ON tiers.name = tier,
       unnest(CAST(:ids AS uuid[]), CAST(:before AS float[]), CAST(:costs AS int[]), CAST(:inputs AS text[]))
         AS chunk (id, before, cost, inputs)
  WHERE status = 'processing'
)
SELECT id FROM mine
""")

# One failed chunk ends a job that was to fail fast. A chunk that ended in any other way is done.
_ADVANCE = text("""
WITH parked AS (
  SELECT id FROM jobs WHERE status = 'processing' AND lease_expires_at = 'infinity'
    AND (CAST(:id AS uuid) IS NULL OR id = :id)
  ORDER BY random() LIMIT :limit FOR UPDATE SKIP LOCKED
), chunks AS (
  SELECT parent_id, count(*) FILTER (WHERE status IN ('pending', 'processing')) AS open,
    sum(CAST(inputs ->> 'rows' AS int) * CASE WHEN finished_at IS NULL THEN jobs.progress ELSE 100 END)
      / sum(CAST(inputs ->> 'rows' AS int)) AS progress,
    (array_agg(error) FILTER (WHERE status = 'failed' AND options ->> 'return_errors' = :fail_fast))[1] AS error
  FROM jobs WHERE parent_id IN (SELECT id FROM parked) GROUP BY parent_id
)
UPDATE jobs SET
  status = CASE WHEN chunks.error IS NOT NULL THEN 'failed' WHEN open = 0 THEN 'pending' ELSE 'processing' END,
  error = chunks.error,
  max_attempts = CASE WHEN open = 0 THEN least(max_attempts, 32766) + 1 ELSE max_attempts END,
  progress = greatest(jobs.progress, least(99, chunks.progress))
FROM chunks
WHERE jobs.id = chunks.parent_id AND (open = 0 OR chunks.error IS NOT NULL OR chunks.progress > jobs.progress)
RETURNING jobs.status, jobs.pool
""")

_OPEN = text("""
SELECT EXISTS (SELECT FROM jobs WHERE parent_id = :id AND status = 'pending')
    OR EXISTS (SELECT FROM jobs WHERE parent_id = :id AND status = 'processing')
""")

_SELECT = "SELECT jobs.id, status, inputs, error, body AS result FROM jobs LEFT JOIN job_results ON job_id = jobs.id"
_CHUNKS = text(f"{_SELECT} WHERE parent_id = :id ORDER BY CAST(inputs ->> 'part' AS int)")
# Without `lines`, which may name thousands.
_PARTS = text("""
SELECT CAST(inputs ->> 'part' AS int) AS part, CAST(inputs ->> 'line' AS int) AS line, body
FROM jobs JOIN job_results ON job_id = jobs.id
WHERE parent_id = :id AND status = 'completed' AND CAST(inputs ->> 'part' AS int) > :after
ORDER BY CAST(inputs ->> 'part' AS int) LIMIT :limit
""")


@dataclass(frozen=True)
class Chunk:
    """A chunk as its parent sees it; `part` is there once it is completed."""

    id: uuid.UUID
    status: Status
    payload: Payload
    error: Mapping[str, Any] | None
    part: Part | None


@dataclass(frozen=True)
class Done:
    """A completed chunk: which part of the file it is, the line that this begins on (from 1), and its answers."""

    number: int
    first_line: int
    part: Part


@dataclass(frozen=True)
class Rows:
    """How many rows of a bulk job there are, have an answer or an error, and have an error."""

    total: int
    done: int
    failed: int


def park(engine: sqlalchemy.Engine, job: Claimed, plan: Plan, *, units: int) -> bool:
    """Hand the job to its chunks, or end it if it was canceled; False if it is not ours any more."""
    payloads = [
        Payload(job.id, plan.key, plan.etag, plan.header_end, part, **vars(span))
        for part, span in enumerate(plan.spans)
    ]
    inputs = [database.dumps(payload.to_json()) for payload in payloads]
    costs = [span.rows * units for span in plan.spans]
    before = list(itertools.accumulate(costs, initial=0))[:-1]
    chunks = {"ids": [ids.uuid7() for _ in inputs], "inputs": inputs, "costs": costs, "before": before}
    with engine.begin() as connection:
        values = {"id": job.id, "attempt": job.attempt, "kind": Payload.KIND, **chunks}
        return connection.execute(_PARK, values).first() is not None


def advance(engine: sqlalchemy.Engine, bulk_id: uuid.UUID | None = None) -> set[str]:
    """Bring parked jobs (or this one) to where their chunks are; returns the pools that have one to merge."""
    with engine.begin() as connection:
        found = connection.execute(_ADVANCE, {"id": bulk_id, "limit": LIMIT, "fail_fast": ReturnErrors.FAIL_FAST}).all()
    return {row.pool for row in found if row.status == Status.PENDING}


def is_open(engine: sqlalchemy.Engine, bulk_id: uuid.UUID) -> bool:
    """Whether any chunk has not ended yet."""
    with engine.connect() as connection:
        return bool(connection.execute(_OPEN, {"id": bulk_id}).scalar_one())


def chunks(engine: sqlalchemy.Engine, bulk_id: uuid.UUID) -> list[Chunk]:
    """A job's chunks in order; none before it was planned."""
    with engine.connect() as connection:
        rows = connection.execute(_CHUNKS, {"id": bulk_id}).all()
    return [
        Chunk(row.id, Status(row.status), Payload.from_json(row.inputs), row.error, row.result and load(row.result))
        for row in rows
    ]


def parts(engine: sqlalchemy.Engine, bulk_id: uuid.UUID, *, after: int, limit: int) -> list[Done]:
    """Completed chunks in order, those behind part `after`."""
    with engine.connect() as connection:
        rows = connection.execute(_PARTS, {"id": bulk_id, "after": after, "limit": limit}).all()
    return [Done(row.part, row.line, load(row.body)) for row in rows]


def count(engine: sqlalchemy.Engine, bulk_id: uuid.UUID) -> Rows:
    """Rows of a job's chunks, as far as they are known."""
    with engine.connect() as connection:
        return Rows(**connection.execute(_COUNT, {"id": bulk_id, "fail_fast": ReturnErrors.FAIL_FAST}).one()._mapping)


# What was not reached is not done. A chunk that failed has an error for each row, unless it is to fail the whole job.
_COUNT = text("""
SELECT coalesce(sum(rows), 0) AS total,
  coalesce(sum(CASE WHEN status = 'completed' OR lines THEN rows WHEN finished_at IS NULL THEN rows * progress / 100
                    ELSE 0 END), 0) AS done,
  coalesce(sum(CASE WHEN status = 'completed' THEN failed WHEN lines THEN rows ELSE 0 END), 0) AS failed
FROM (SELECT CAST(inputs ->> 'rows' AS int) AS rows, progress, finished_at, status,
             status = 'failed' AND options ->> 'return_errors' <> :fail_fast AS lines,
             CAST(body ->> 'failed' AS int) AS failed
      FROM jobs LEFT JOIN job_results ON job_id = jobs.id WHERE parent_id = :id) AS chunks
""")
