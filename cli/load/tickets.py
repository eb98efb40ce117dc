"""Every ticket is followed to its end, on threads of their own, so that no arrival waits for one."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cli.answers import ENDED, LEAST_S
from cli.failures import Failure
from cli.load.door import Door
from cli.load.record import Record
from core import errors

FOLLOWERS = 16
#: What both take is the time from when the job was due to when its end is known.
STREAM, POLL = "stream GET /jobs/{id}/events", "poll GET /jobs/{id}?wait"


@dataclass(frozen=True)
class Ticket:
    """A job, and since when somebody waits for it."""

    job_id: str
    due_s: float
    streamed: bool = False


class Followers:
    """Threads that ask for one ticket after the other, a second each, until all have ended."""

    def __init__(self, door: Door, record: Record, clock: Callable[[], float]) -> None:
        self._door = door
        self._record = record
        self._clock = clock
        self._waiting: queue.Queue[Ticket] = queue.Queue()
        for _ in range(FOLLOWERS):
            threading.Thread(target=self._follow, daemon=True).start()

    def take(self, ticket: Ticket) -> None:
        self._record.accepted()
        self._waiting.put(ticket)

    def _follow(self) -> None:
        while True:
            ticket = self._waiting.get()
            asked_at = time.monotonic()
            status = self._streamed(ticket) if ticket.streamed else self._polled(ticket)
            if status is None:
                # Where the API has no place left for waiting, it answers at once.
                time.sleep(max(0.0, asked_at + LEAST_S - time.monotonic()))
                self._waiting.put(Ticket(ticket.job_id, ticket.due_s))

    def _streamed(self, ticket: Ticket) -> str | None:
        """The status by which it ended, if the stream says so; where it does not, the job is polled from then on."""
        try:
            for event in self._door.events(f"/jobs/{ticket.job_id}/events"):
                if event in ENDED:
                    self._end(ticket, STREAM, event, None)
                    return event
        except Failure as error:
            self._record.answered(STREAM, ticket.due_s, self._clock(), error.code, expected=error.retryable)
        return None

    def _polled(self, ticket: Ticket) -> str | None:
        answer = self._door.get(f"/jobs/{ticket.job_id}?wait=1")
        if answer.code == errors.JobNotFound.code:
            self._record.answered(POLL, ticket.due_s, self._clock(), answer.code, expected=False)
            self._record.ended("lost")
            return "lost"
        if answer.code:
            if not answer.refused:
                self._record.answered(POLL, ticket.due_s, self._clock(), answer.code, expected=False)
            return None
        status = str(answer.found.get("status"))
        if status not in ENDED:
            return None
        error = answer.found.get("error")
        code = str(error.get("code")) if isinstance(error, dict) else None
        self._end(ticket, POLL, status, code)
        return status

    def _end(self, ticket: Ticket, route: str, status: str, code: str | None) -> None:
        good = status == "completed"
        self._record.answered(route, ticket.due_s, self._clock(), None if good else code or status, expected=False)
        self._record.ended("done" if good else "failed")
