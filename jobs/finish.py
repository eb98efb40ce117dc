"""How attempts end: what they came to is stored behind the fence, in one write for many jobs where that can be, and
whoever waits for it is told."""

from __future__ import annotations

import copy
import dataclasses
import functools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson
import sqlalchemy
import structlog
from sqlalchemy import exc

from core import broker, database, errors, metrics
from core.board import Board
from jobs import lease, settle, shown
from jobs.attempt import Attempts
from jobs.job import Claimed
from jobs.outcome import Outcome
from jobs.result import Fault, Result, Several
from registry.judging.trial import FAULTS, worst
from registry.judging.witness import Sight, Witness
from registry.routes import Unit

log = structlog.get_logger()

T = TypeVar("T")

#: What is no outage, and would be the same at every try: the database takes no such value, or JSON has none.
REFUSALS = (exc.DBAPIError, orjson.JSONEncodeError)
#: What could not be begun is tried again, at no cost to the job.
PUT_OFF = (errors.ModelUnavailable, errors.Unavailable)


@dataclass(frozen=True)
class Finisher:
    """Of one worker process, `worker` by its name."""

    engine: sqlalchemy.Engine
    hints: broker.Hints
    leases: lease.Leases
    attempts: Attempts
    board: Board
    worker: str
    lease_s: float
    witness: Witness

    def finish(self, held: Sequence[lease.Held], outcomes: Sequence[Outcome]) -> int:
        """End the attempts as they came out; returns how many jobs were ended here."""
        try:
            # Before it ends: nothing happens to a job after that.
            self._insist(functools.partial(self.leases.tell, held))
            return self._settle(outcomes)
        finally:
            self.leases.release(held)

    def _settle(self, outcomes: Sequence[Outcome]) -> int:
        # As they stand now: to a heartbeat that comes meanwhile, what has just ended here is lost.
        outcomes = [dataclasses.replace(item, held=copy.copy(item.held)) for item in outcomes]
        wanted = [item for item in outcomes if not (item.held.canceled or item.held.lost)]
        done = [_done(item, item.result) for item in wanted if item.result is not None]
        ours = self.complete(done)
        shown.completed(self.board, self.worker, wanted, ours)
        fenced = [item.job.id for item in done if item.job.id not in ours]
        settled = len(ours)
        for outcome in outcomes:
            result, write = _ending(outcome)
            if write is not None and not self._end(outcome.held.job, functools.partial(write, self.engine)):
                fenced.append(outcome.held.job.id)
            settled += write is not None
            job = outcome.held.job
            self.attempts.count(job, result)
        for outcome in outcomes:
            if outcome.held.job.id not in fenced:
                self._witness(outcome)
        for pool in self._insist(functools.partial(self.attempts.settled, outcomes)):
            self.hints.send(pool)
        if any(outcome.held.job.notifies for outcome in outcomes):
            self.hints.send(broker.WEBHOOKS)
        if fenced:
            metrics.FENCED.inc(len(fenced))
            log.warning("write_fenced", job_ids=[str(item) for item in fenced])
        return settled

    def _witness(self, outcome: Outcome) -> None:
        """What it says of a version on trial, or of the one that is compared with it."""
        job, error, result = outcome.held.job, outcome.error, outcome.result
        if outcome.held.lost or outcome.held.canceled or job.route is None or job.created_at is None:
            return
        if isinstance(error, PUT_OFF):  # it goes on, here or elsewhere, and may be answered yet
            return
        items = result.items if isinstance(result, Several) else []
        code = error.code if error else worst([item.error["code"] for item in items if isinstance(item, Fault)])
        if (result or code in FAULTS) and self.witness.watches(job.model, job.route):
            unit = Unit(job.request_id, job.tenant_id.hex)
            self.witness.add(Sight(job.model, job.route, unit, job.created_at, code=code))

    def complete(self, done: Sequence[settle.Done]) -> set[uuid.UUID]:
        """Which of them are stored; what cannot be stored fails alone, never with its neighbours."""
        if len(done) == 1:
            ended = self._end(done[0].job, lambda: bool(settle.complete(self.engine, done)))
            return {done[0].job.id} if ended else set()
        try:
            return self._insist(functools.partial(settle.complete, self.engine, done)) if done else set()
        except database.OUTAGES:
            raise
        except REFUSALS:
            return set().union(*(self.complete([item]) for item in done))

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
    if isinstance(error, PUT_OFF):
        return error.code, lambda engine: settle.put_off(engine, job, error)
    if error is not None:
        return error.code, lambda engine: settle.fail(engine, job, error)
    if outcome.hand_over is not None:
        return "parked", outcome.hand_over
    if outcome.result is None:
        return "given_back", lambda engine: bool(settle.give_back(engine, [job]))
    return "completed", None
