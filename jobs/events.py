"""What happened to a job, in order: written by a trigger on `jobs`, so that no change can forget its event."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database
from jobs.job import TERMINAL, Job, Status

#: How often an open stream looks.
LOOK_S = 0.25
#: A comment goes out when nothing else did for so long: only a write tells that nobody listens any more.
SILENCE_S = 1.0
LIMIT = 1000

_AFTER = text("""
SELECT id, at, type, progress, attempt, batch_size, run_ms, error FROM job_events
WHERE job_id = :job_id AND id > :after ORDER BY id LIMIT :limit
""")

_KNOWS = text("SELECT FROM job_events WHERE job_id = :job_id AND id = :id")
_PURGE = text("DELETE FROM job_events WHERE job_id = ANY (:ids)")


@dataclass(frozen=True)
class Event:
    """`type` is the new status, `progress` or `cancel_requested`; a terminal status is always a job's last event."""

    id: int
    at: dt.datetime
    type: str
    progress: int
    attempt: int
    batch_size: int | None
    run_ms: int | None
    error: Mapping[str, Any] | None

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


def knows(engine: sqlalchemy.Engine, job: Job, event_id: int) -> bool:
    """Whether this is one of the job's events."""
    with database.reading(engine) as connection:
        found = connection.execute(_KNOWS, {"job_id": job.id, "id": event_id}).first()
    return event_id == 0 or found is not None


def follow(engine: sqlalchemy.Engine, job: Job, event_id: int = -1) -> Iterator[Event | None]:
    """Events as they happen, up to and with the last; None after SILENCE_S without one."""
    spoke_at = time.monotonic()
    while True:
        found = after(engine, job, event_id)
        for event in found:
            yield event
            if event.is_last:
                return
            event_id, spoke_at = event.id, time.monotonic()
        if len(found) >= LIMIT:
            continue
        if job.status.is_terminal:
            return
        if time.monotonic() - spoke_at > SILENCE_S:
            yield None
            spoke_at = time.monotonic()
        time.sleep(LOOK_S)


def purge(connection: sqlalchemy.Connection, job_ids: Sequence[uuid.UUID]) -> None:
    """Forget the events of jobs that are being deleted."""
    connection.execute(_PURGE, {"ids": list(job_ids)})
