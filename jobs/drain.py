"""What a wake-up does: claim, run, settle, until nothing is due or the slice of time is over."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import orjson
import sqlalchemy
import structlog
from sqlalchemy import exc

from core import broker, database, errors, metrics
from core.board import Board
from jobs import claim, lease, settle, shown
from jobs.attempt import Attempts
from jobs.job import Claimed
from jobs.outcome import Outcome
from jobs.presence import Presence
from jobs.result import Result

log = structlog.get_logger()

T = TypeVar("T")

#: What is no outage, and would be the same at every try: the database takes no such value, or JSON has none.
REFUSALS = (exc.DBAPIError, orjson.JSONEncodeError)


@dataclass(frozen=True)
class Drainer:
    """One worker process: what it needs to empty a pool."""

    engine: sqlalchemy.Engine
    hints: broker.Hints
    leases: lease.Leases
    attempts: Attempts
    presence: Presence
    board: Board
    slice_s: float  #: how long one wake-up may drain
    lease_s: float
    #: Settles one batch while the next one runs: Postgres and the model each have a core to themselves.
    settler: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "settler"))

    def drain(self, pool: str, wake_id: str) -> int:
        """Run what is due in `pool`; returns how many jobs were settled here."""
        self.hints.clear(pool)
        settled = 0
        settling: Future[int] | None = None
        ends_at = time.monotonic() + self.slice_s
        while batch := self._claim(pool, wake_id):
            over = time.monotonic() > ends_at
            if batch.full or over:
                self.hints.send(pool)
            with self.presence.working(len(batch.jobs)):
                held, outcomes = self._work(batch)
                # First this one is on its way: whatever came of the last one must not leave it behind.
                last, settling = settling, self.settler.submit(self._finish, held, outcomes)
                settled += last.result() if last else 0
            if over:
                break
        return settled + (settling.result() if settling else 0)

    def _claim(self, pool: str, wake_id: str) -> claim.Batch | None:
        """The next batch; None when nothing is due, or nothing may be taken any more."""
        if not self.leases.may_claim:
            self.hints.send(pool)
            return None
        return claim.claim(self.engine, pool=pool, worker=self.presence.name, wake_id=wake_id, lease_s=self.lease_s)

    def _work(self, batch: claim.Batch) -> tuple[list[lease.Held], list[Outcome]]:
        held = self.leases.hold(batch.jobs)
        shown.begun(self.board, self.presence.name, held)
        try:
            return held, self.attempts.run(held)
        except BaseException:
            self.leases.release(held)
            raise

    def _finish(self, held: Sequence[lease.Held], outcomes: Sequence[Outcome]) -> int:
        try:
            # Before it ends: nothing happens to a job after that.
            self._insist(functools.partial(self.leases.tell, held))
            return self._settle(outcomes)
        finally:
            self.leases.release(held)

    def _settle(self, outcomes: Sequence[Outcome]) -> int:
        wanted = [item for item in outcomes if not (item.held.canceled or item.held.lost)]
        done = [_done(item, item.result) for item in wanted if item.result is not None]
        ours = self._complete(done)
        shown.completed(self.board, self.presence.name, wanted, ours)
        fenced = [item.job.id for item in done if item.job.id not in ours]
        settled = len(ours)
        for outcome in outcomes:
            result, write = _ending(outcome)
            if write is not None and not self._end(outcome.held.job, functools.partial(write, self.engine)):
                fenced.append(outcome.held.job.id)
            settled += write is not None
            metrics.ATTEMPTS.labels(outcome.held.job.model, result).inc()
        for pool in self._insist(functools.partial(self.attempts.settled, outcomes)):
            self.hints.send(pool)
        if any(outcome.held.job.notifies for outcome in outcomes):
            self.hints.send(broker.WEBHOOKS)
        if fenced:
            metrics.FENCED.inc(len(fenced))
            log.warning("write_fenced", job_ids=[str(item) for item in fenced])
        return settled

    def _complete(self, done: Sequence[settle.Done]) -> set[uuid.UUID]:
        """Which of them are stored; what cannot be stored fails alone, never with its neighbours."""
        if len(done) == 1:
            ended = self._end(done[0].job, lambda: bool(settle.complete(self.engine, done)))
            return {done[0].job.id} if ended else set()
        try:
            return self._insist(functools.partial(settle.complete, self.engine, done)) if done else set()
        except database.OUTAGES:
            raise
        except REFUSALS:
            return set().union(*(self._complete([item]) for item in done))

    def _end(self, job: Claimed, write: Callable[[], bool]) -> bool:
        """Whether the attempt was ours to end; when this way of ending it is refused, it has failed."""
        try:
            return self._insist(write)
        except database.OUTAGES:
            raise
        except REFUSALS as error:
            log.exception("result_refused", job_id=str(job.id))
            cause = type(getattr(error, "orig", error)).__name__
            refused = errors.ModelError(f"The result cannot be stored: {cause}")
            return self._insist(functools.partial(settle.fail, self.engine, job, refused))

    def _insist(self, write: Callable[[], T]) -> T:
        """Repeat a fenced write through an outage, until the lease would have run out anyway."""
        return database.insist(write, for_s=self.lease_s)


def _done(outcome: Outcome, result: Result) -> settle.Done:
    return settle.Done(outcome.held.job, result, units=outcome.units, run_ms=round(outcome.run_s * 1000))


def _ending(outcome: Outcome) -> tuple[str, Callable[[sqlalchemy.Engine], bool] | None]:
    """How an attempt that is not simply completed ends, in a word and as a write; no write for a completed one and for
    one that is not ours any more."""
    held, job, error = outcome.held, outcome.held.job, outcome.error
    if held.lost:
        return "lost", None
    if held.canceled:
        return "canceled", lambda engine: settle.cancel(engine, job)
    if isinstance(error, (errors.ModelUnavailable, errors.Unavailable)):
        return error.code, lambda engine: settle.put_off(engine, job, error)
    if error is not None:
        return error.code, lambda engine: settle.fail(engine, job, error)
    if outcome.hand_over is not None:
        return "parked", outcome.hand_over
    if outcome.result is None:
        return "given_back", lambda engine: settle.give_back(engine, job)
    return "completed", None
