"""What happened to a job, in order: written by a trigger on `jobs`, so that no change can forget its event."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database
from jobs.job import TERMINAL, Job, Status

LIMIT = 1000

_AFTER = text("""
SELECT id, at, type, progress, attempt, batch_size, run_ms, error, output FROM job_events
WHERE job_id = :job_id AND id > :after ORDER BY id LIMIT :limit
""")

_NEW = text("""
SELECT job_id, id, at, type, progress, attempt, batch_size, run_ms, error, output
FROM unnest(CAST(:jobs AS uuid[]), CAST(:after AS bigint[])) AS mine (job, seen) CROSS JOIN LATERAL (
  SELECT * FROM job_events WHERE job_id = mine.job AND id > mine.seen ORDER BY id LIMIT :limit
) AS event ORDER BY id
""")

_KNOWS = text("SELECT FROM job_events WHERE job_id = :job_id AND id = :id")
_PURGE = text("DELETE FROM job_events WHERE job_id = ANY (:ids)")


@dataclass(frozen=True)
class Event:
    """`type` is the new status, `progress`, `cancel_requested` or `output`, which has pieces of the job's output; a
    terminal status is always a job's last event."""

    id: int
    at: dt.datetime
    type: str
    progress: int
    attempt: int
    batch_size: int | None
    run_ms: int | None
    error: Mapping[str, Any] | None
    output: Mapping[str, Any] | None = None

    @property
    def is_last(self) -> bool:
        return self.type in TERMINAL


def accepted(job: Job) -> Event:
    """Every job's first event, which is its row."""
    return Event(0, job.created_at, Status.PENDING, 0, 0, None, None, None)


def after(engine: sqlalchemy.Engine, job: Job, event_id: int = -1) -> Sequence[Event]:
    """A job's events with a larger id, in order."""
    with database.reading(engine) as connection:
        parameters = {"job_id": job.id, "after": event_id, "limit": LIMIT}
        rows = connection.execute(_AFTER, parameters).all()
    first = [accepted(job)] if event_id < 0 else []
    return [*first, *(Event(**row._mapping) for row in rows)]


def new(engine: sqlalchemy.Engine, seen: Mapping[uuid.UUID, int]) -> dict[uuid.UUID, list[Event]]:
    """Of each of these jobs the events with a larger id, in order; jobs without any are left out."""
    parameters = {"jobs": list(seen), "after": list(seen.values()), "limit": LIMIT}
    found: dict[uuid.UUID, list[Event]] = {}
    with database.reading(engine) as connection:
        for row in connection.execute(_NEW, parameters).mappings():
            event = {name: value for name, value in row.items() if name != "job_id"}
            found.setdefault(row["job_id"], []).append(Event(**event))
    return found


def knows(engine: sqlalchemy.Engine, job: Job, event_id: int) -> bool:
    """Whether this is one of the job's events."""
    with database.reading(engine) as connection:
        found = connection.execute(_KNOWS, {"job_id": job.id, "id": event_id}).first()
    return event_id == 0 or found is not None


def purge(connection: sqlalchemy.Connection, job_ids: Sequence[uuid.UUID]) -> None:
    """Forget the events of jobs that are being deleted."""
    connection.execute(_PURGE, {"ids": list(job_ids)})
