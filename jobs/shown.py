"""Jobs as Flower shows them: the id and the model of each, never what was handed in or what came of it.

A worker tells what it begins and completes. What else happens to a job happens in many places, some of them in no
worker's hands (a rescue, an expiry, a cancel by its tenant), but all of it is an event in the database: a chore
tells of those.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import ids
from core.board import Board, Event
from jobs import kinds
from jobs.job import Claimed, Status
from jobs.lease import Held
from jobs.outcome import Outcome

LIMIT = 200
#: How far it looks back, for what was committed late; and how far at first.
LATE_S, FIRST_S = 15.0, 60.0

# What each of them is by now, and who held it last. The error whole: JSON's operators refuse what holds \u0000.
_RARE = text("""
SELECT array_agg(event.id) AS events, extract(epoch FROM max(at))::float AS at, jobs.id, kind, tenant_id, model,
  version, jobs.attempt, status, worker, jobs.error, request_id
FROM (
  SELECT id, job_id, at FROM job_events
  WHERE type IN ('pending', 'failed', 'canceled', 'expired') AND at > now() - make_interval(secs => :back_s)
    AND id <> ALL (:told)
  ORDER BY at LIMIT :limit
) AS event JOIN jobs ON jobs.id = job_id GROUP BY jobs.id
""")

#: What else becomes of a job, in Celery's words.
_TYPES = {
    Status.PENDING: "task-retried",
    Status.FAILED: "task-failed",
    Status.CANCELED: "task-revoked",
    Status.EXPIRED: "task-revoked",
}


def begun(board: Board, worker: str, held: Iterable[Held]) -> None:
    """These were claimed by a process, `node/incarnation/pid`."""
    now = time.time()
    mine = [item for item in held if not kinds.find(item.job.kind).hidden]
    for item in mine[: board.room(len(mine))]:
        item.shown, known = True, _known(item.job, worker)
        board.show([_received(item.job, known), {**known, "type": "task-started", "timestamp": now}])


def completed(board: Board, worker: str, outcomes: Iterable[Outcome], ours: Collection[uuid.UUID]) -> None:
    """Those of them that are stored under our attempt."""
    now = time.time()
    for outcome in outcomes:
        job = outcome.held.job
        if outcome.held.shown and job.id in ours:
            # A file's is that of its parts, which are not shown.
            runtime = None if kinds.find(job.kind).in_parts else outcome.run_s
            end = {"type": "task-succeeded", "timestamp": now, "runtime": runtime, "exception": None}
            board.show([{**_known(job, worker), **end, "result": f"units={outcome.units}"}])


class Rest:
    """Tells of what no worker tells of; one to a process that does the chores."""

    def __init__(self, board: Board, worker: str) -> None:
        self._board = board
        self._worker = worker
        self._told: dict[int, float] = {}
        self._back_s = FIRST_S
        self._telling = threading.Lock()

    def tell(self, engine: sqlalchemy.Engine) -> int:
        """What has happened since the last time; returns of how many jobs."""
        with self._telling:
            return self._tell(engine)

    def _tell(self, engine: sqlalchemy.Engine) -> int:
        began = time.monotonic()
        parameters = {"back_s": self._back_s, "told": list(self._told), "limit": LIMIT}
        with engine.connect() as connection:
            found = connection.execute(_RARE, parameters).all()
        self._back_s = LATE_S
        self._told = {event: at for event, at in self._told.items() if began - at < 2 * FIRST_S}
        for row in found:
            self._told.update(dict.fromkeys(row.events, began))
        for row in found:
            self._board.show(self._ending(row))
        return len(found)

    def _ending(self, row: sqlalchemy.Row[Any]) -> list[Event]:
        """A file that waits to be put together goes on."""
        status, kind = Status(row.status), kinds.find(row.kind)
        if status not in _TYPES or kind.hidden or (kind.in_parts and status is Status.PENDING):
            return []
        known = _known(row, row.worker or self._worker)
        why = {
            "exception": (row.error or {}).get("code", status),
            "expired": status is Status.EXPIRED,
            "terminated": row.attempt > 0,
        }
        ended = {**known, **why, "type": _TYPES[status], "timestamp": row.at}
        return [ended] if row.attempt else [_received(row, known), ended]


def _known(job: Claimed | sqlalchemy.Row[Any], worker: str) -> Event:
    return {"uuid": ids.job_id(job.id), "name": f"{job.model}@{job.version}", "hostname": worker.partition("/")[0]}


def _received(job: Claimed | sqlalchemy.Row[Any], known: Event) -> Event:
    """Received when it was accepted, as its id says."""
    about = {
        "kind": job.kind,
        "attempt": job.attempt,
        "tenant_id": str(job.tenant_id),
        "request_id": job.request_id,
    }
    accepted = (job.id.int >> 80) / 1000
    return {**known, "type": "task-received", "timestamp": accepted, "args": "()", "kwargs": repr(about)}
