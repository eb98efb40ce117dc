"""Reading jobs, waiting for one, taking one back. Another tenant's job is one that does not exist."""

from __future__ import annotations

import base64
import datetime as dt
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database, errors, ids
from jobs.job import Job, Status

_COLUMNS = """id, kind, pool, model, version, route, status, priority, progress, jobs.attempt, lost_count, timeout_s,
  cost, metadata, error, request_id, retry_of, created_at, fair_at, not_before, started_at, finished_at, expires_at,
  cancel_requested_at IS NOT NULL AS cancel_requested"""

_GET = text(f"""
SELECT {_COLUMNS}, options, body AS result, (
  SELECT json_agg(json_build_object('event', type, 'at', at, 'attempt', e.attempt, 'batch_size', batch_size,
                                    'run_ms', e.run_ms, 'error', e.error) ORDER BY e.id)
  FROM job_events AS e WHERE e.job_id = jobs.id AND type NOT IN ('progress', 'output')) AS timeline
FROM jobs LEFT JOIN job_results ON job_id = id
WHERE id = :id AND tenant_id = :tenant_id AND parent_id IS NULL
""")  # noqa: S608 - constants only

_STATUS = text("SELECT status FROM jobs WHERE id = :id AND tenant_id = :tenant_id AND parent_id IS NULL")

_CANCEL = text("""
UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, now()),
  status = CASE WHEN status = 'pending' OR worker IS NULL THEN 'canceled' ELSE status END,
  error = CASE WHEN status = 'pending' OR worker IS NULL THEN NULL ELSE error END
WHERE id = :id AND tenant_id = :tenant_id AND parent_id IS NULL AND status IN ('pending', 'processing') RETURNING id
""")

#: The first look comes quickly, later ones rarely: most inline-sized jobs end within a few milliseconds.
FIRST_LOOK_S = 0.004
LAST_LOOK_S = 0.25
#: So far the moment that a job's id says may be from when it was stored.
APART_S = 600.0


@dataclass(frozen=True)
class Filters:
    status: Status | None = None
    model: str | None = None
    created_after: dt.datetime | None = None
    created_before: dt.datetime | None = None


@dataclass(frozen=True)
class Page:
    """Newest first; `next_cursor` is None on the last page."""

    jobs: Sequence[Job]
    next_cursor: str | None


def get(engine: sqlalchemy.Engine, tenant_id: uuid.UUID, job_id: uuid.UUID) -> Job:
    """Raises JobNotFound."""
    row = _one(engine, _GET, {"id": job_id, "tenant_id": tenant_id})
    if row is None:
        raise errors.JobNotFound
    return Job.from_row(row)


def wait(
    engine: sqlalchemy.Engine,
    tenant_id: uuid.UUID,
    job_id: uuid.UUID,
    timeout_s: float,
    look_again: Callable[[], object],
) -> Job:
    """The job as soon as it has ended, or as it is after `timeout_s`; raises JobNotFound, and what `look_again`, called
    at each look, raises to end the waiting."""
    ends_at = time.monotonic() + timeout_s
    pause = FIRST_LOOK_S
    while True:
        look_again()
        row = _one(engine, _STATUS, {"id": job_id, "tenant_id": tenant_id})
        left = ends_at - time.monotonic()
        if row is None or Status(row["status"]).is_terminal or left <= 0:
            return get(engine, tenant_id, job_id)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LAST_LOOK_S)


def cancel(engine: sqlalchemy.Engine, tenant_id: uuid.UUID, job_id: uuid.UUID) -> Job:
    """Cancel at once what is pending, ask a running job to stop; raises JobStateConflict for one that ended
    otherwise."""
    with database.writing(engine) as connection:
        found = connection.execute(_CANCEL, {"id": job_id, "tenant_id": tenant_id}).first()
    job = get(engine, tenant_id, job_id)
    if found is None and job.status is not Status.CANCELED:
        raise job.conflict("canceled")
    return job


def page(engine: sqlalchemy.Engine, tenant_id: uuid.UUID, filters: Filters, *, limit: int, cursor: str | None) -> Page:
    """One page of a tenant's jobs, newest first, stable while new ones arrive; raises InvalidInput for a bad cursor."""
    parameters: dict[str, Any] = {"tenant_id": tenant_id, "limit": limit + 1}
    parameters |= {name: value for name, value in vars(filters).items() if value is not None}
    if filters.created_after is not None:
        parameters["born_after"] = ids.born(filters.created_after, -APART_S)
    if filters.created_before is not None:
        parameters["born_before"] = ids.born(filters.created_before, APART_S)
    if cursor is not None:
        parameters["before"] = _decode(cursor)
    statement = _listing(parameters)
    with database.reading(engine) as connection:
        rows = connection.execute(statement, parameters).mappings().all()
    jobs = [Job.from_row(dict(row)) for row in rows[:limit]]
    return Page(jobs, _encode(jobs[-1].id) if len(rows) > limit else None)


def _listing(given: Collection[str]) -> sqlalchemy.TextClause:
    """The statement for these parameters."""
    conditions = " AND ".join(condition for name, condition in _CONDITIONS.items() if name in given)
    return text(f"SELECT {_COLUMNS} FROM jobs WHERE {conditions} AND parent_id IS NULL ORDER BY id DESC LIMIT :limit")  # noqa: S608


_CONDITIONS = {
    "tenant_id": "tenant_id = :tenant_id",
    "before": "id < :before",
    "status": "status = :status",
    "model": "model = :model",
    # By its id as well, as which it is found.
    "created_after": "created_at >= :created_after AND id >= :born_after",
    "created_before": "created_at < :created_before AND id < :born_before",
}


def _one(
    engine: sqlalchemy.Engine, statement: sqlalchemy.TextClause, parameters: dict[str, Any]
) -> dict[str, Any] | None:
    with database.reading(engine) as connection:
        row = connection.execute(statement, parameters).mappings().first()
    return dict(row) if row is not None else None


def _encode(value: uuid.UUID) -> str:
    return base64.urlsafe_b64encode(value.bytes).decode().rstrip("=")


def _decode(cursor: str) -> uuid.UUID:
    try:
        return uuid.UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except ValueError as error:
        raise errors.InvalidInput.field("cursor", "is not a cursor from an earlier page") from error
