"""Ending an attempt.

Every statement is fenced by (id, processing, attempt): a row that does not come back belongs to somebody else by now,
and what was computed for it is thrown away. Running one twice is harmless, which is also the answer to a commit whose
outcome is unknown.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from core import database, errors
from jobs import retry, told
from jobs.job import Claimed
from jobs.result import Result, dump

# `lower` here, in heartbeats and in rescues is the word for which the index of leases is left alone: Postgres takes it
# for small, and would read all of it for a batch, with what has ended since somebody's snapshot. Each has its id.
_COMPLETE = text("""
WITH done AS (
  UPDATE jobs SET status = 'completed', progress = 100, error = NULL, run_ms = mine.run_ms
  FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:bodies AS text[]), CAST(:told AS text[]),
              CAST(:units AS int[]), CAST(:run_ms AS int[])) AS mine (id, attempt, body, told, units, run_ms)
  WHERE jobs.id = mine.id AND lower(jobs.status) = 'processing' AND jobs.attempt = mine.attempt
  RETURNING jobs.id, mine.attempt, tenant_id, key_id, kind, model, version, unit_price, body, told, units
), stored AS (
  INSERT INTO job_results (job_id, attempt, body, told)
  SELECT id, attempt, CAST(body AS json), CAST(told AS json) FROM done
), charged AS (
  INSERT INTO usage (job_id, tenant_id, key_id, model, version, kind, units, price)
  SELECT id, tenant_id, coalesce(key_id, ''), model, version, kind, units, units * coalesce(unit_price, 0) FROM done
)
SELECT id FROM done
""")

_FAIL = text("""
UPDATE jobs SET status = 'failed', error = CAST(:error AS json)
WHERE id = :id AND status = 'processing' AND attempt = :attempt RETURNING id
""")

# What its tenant has canceled meanwhile does not wait again, here and below: nobody would be there to hear of it.
_RETRY = text("""
UPDATE jobs SET error = CASE WHEN cancel_requested_at IS NULL THEN CAST(:error AS json) END,
  status = CASE WHEN cancel_requested_at IS NOT NULL THEN 'canceled'
                WHEN now() + make_interval(secs => :delay_s) < expires_at THEN 'pending' ELSE 'failed' END,
  not_before = now() + make_interval(secs => :delay_s),
  fair_at = greatest(fair_at, now() + make_interval(secs => :delay_s))
WHERE id = :id AND status = 'processing' AND attempt = :attempt RETURNING id
""")

_CANCEL = text("""
UPDATE jobs SET status = 'canceled', error = NULL
WHERE id = :id AND status = 'processing' AND attempt = :attempt RETURNING id
""")


# The attempt that is given back does not count against max_attempts, up to what the column holds.
_GIVE_BACK = text("""
UPDATE jobs SET max_attempts = least(max_attempts, 32766) + 1,
  error = CASE WHEN cancel_requested_at IS NULL THEN error END,
  status = CASE WHEN cancel_requested_at IS NULL THEN 'pending' ELSE 'canceled' END
FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[])) AS mine (id, attempt)
WHERE jobs.id = mine.id AND lower(jobs.status) = 'processing' AND jobs.attempt = mine.attempt RETURNING jobs.id
""")

# Neither does one that the platform could not even begin.
_PUT_OFF = text("""
UPDATE jobs SET max_attempts = least(max_attempts, 32766) + 1,
  error = CASE WHEN cancel_requested_at IS NULL THEN CAST(:error AS json) END,
  status = CASE WHEN cancel_requested_at IS NULL THEN 'pending' ELSE 'canceled' END,
  not_before = now() + make_interval(secs => :delay_s),
  fair_at = greatest(fair_at, now() + make_interval(secs => :delay_s))
WHERE id = :id AND status = 'processing' AND attempt = :attempt RETURNING id
""")

_OURS = text("""
SELECT FROM jobs WHERE id = :id AND status = 'processing' AND attempt = :attempt AND cancel_requested_at IS NULL
FOR SHARE
""")


@dataclass(frozen=True)
class Done:
    """A finished attempt: what came of it, what it costs in units, and its time in the model."""

    job: Claimed
    result: Result
    units: int
    run_ms: int = 0


def complete(engine: sqlalchemy.Engine, done: Sequence[Done]) -> set[uuid.UUID]:
    """Store results, usage and status of a whole batch in one statement; returns the ids that were still ours."""
    columns: dict[str, Iterable[str | int | None]] = {
        "ids": (item.job.id.hex for item in done),
        "attempts": (item.job.attempt for item in done),
        "bodies": (database.dumps(dump(item.result)) for item in done),
        "told": (told.to_receivers(item.job, item.result) for item in done),
        "units": (item.units for item in done),
        "run_ms": (item.run_ms for item in done),
    }
    parameters = {name: database.array(values) for name, values in columns.items()}
    with engine.begin() as connection:
        return set(connection.execute(_COMPLETE, parameters).scalars())


def fail(engine: sqlalchemy.Engine, job: Claimed, error: errors.CoatcheckError) -> bool:
    """End the attempt: again later if the error may heal and attempts are left, else failed. False if not ours."""
    delay = retry.delay_s(error, attempt=job.attempt, max_attempts=job.max_attempts)
    parameters = {"id": job.id, "attempt": job.attempt, "error": _body(error), "delay_s": delay or 0.0}
    with engine.begin() as connection:
        return connection.execute(_FAIL if delay is None else _RETRY, parameters).first() is not None


def put_off(engine: sqlalchemy.Engine, job: Claimed, error: errors.CoatcheckError) -> bool:
    """The platform is at fault (no model, no database): again in a while, until it expires. False if not ours."""
    delay_s = retry.pause_s()
    parameters = {"id": job.id, "attempt": job.attempt, "error": _body(error), "delay_s": delay_s}
    with engine.begin() as connection:
        return connection.execute(_PUT_OFF, parameters).first() is not None


def is_ours(connection: sqlalchemy.Connection, job: Claimed) -> bool:
    """Whether the attempt may still bring something about, which stays true until the end of the transaction."""
    return connection.execute(_OURS, {"id": job.id, "attempt": job.attempt}).first() is not None


def _body(error: errors.CoatcheckError) -> str:
    details = {"details": error.details} if error.details else {}
    return database.dumps({"code": error.code, "message": error.message, **details})


def cancel(engine: sqlalchemy.Engine, job: Claimed) -> bool:
    """Honour a cancellation that was asked for while the job ran. False if not ours."""
    with engine.begin() as connection:
        return connection.execute(_CANCEL, {"id": job.id, "attempt": job.attempt}).first() is not None


def give_back(engine: sqlalchemy.Engine, jobs: Sequence[Claimed]) -> set[uuid.UUID]:
    """Return jobs unfinished, because this worker has to go or did not come to them; it counts as no attempt and no
    loss. Returns the ids that were still ours."""
    ids, attempts = ([job.id.hex for job in jobs], [job.attempt for job in jobs])
    with engine.begin() as connection:
        given = {"ids": database.array(ids), "attempts": database.array(attempts)}
        return set(connection.execute(_GIVE_BACK, given).scalars())
