"""What a wake-up does: claim, run, settle, until nothing is due or the slice of time is over."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy
import structlog

from core import broker, database, errors, metrics
from core.settings import Settings
from inference.model import Model, Prediction
from jobs import claim, lease, run, settle
from jobs.job import Claimed
from jobs.presence import Presence
from registry.catalog import Catalog

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True)
class Drainer:
    """One worker process: what it needs to empty a pool."""

    settings: Settings
    engine: sqlalchemy.Engine
    hints: broker.Hints
    leases: lease.Leases
    catalog: Catalog
    presence: Presence
    #: Settles one batch while the next one runs: Postgres and the model each have a core to themselves.
    settler: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "settler"))

    def drain(self, pool: str, wake_id: str) -> int:
        """Run what is due in `pool`; returns how many jobs were settled here."""
        self.hints.clear(pool)
        settled, settling = 0, None
        ends_at = time.monotonic() + self.settings.slice_s
        while batch := self._claim(pool, wake_id):
            over = time.monotonic() > ends_at
            if batch.full or over:
                self.hints.send(pool)
            with self.presence.working(pool, len(batch.jobs)):
                held, outcomes = self._work(batch)
                settled += settling.result() if settling else 0
                settling = self.settler.submit(self._finish, held, outcomes)
            if over:
                break
        return settled + (settling.result() if settling else 0)

    def _claim(self, pool: str, wake_id: str) -> claim.Batch | None:
        """The next batch; None when nothing is due, or nothing may be taken any more."""
        if not self.leases.may_claim:
            self.hints.send(pool)
            return None
        return claim.claim(
            self.engine, pool=pool, worker=self.presence.name, wake_id=wake_id, lease_s=self.settings.lease_s
        )

    def _work(self, batch: claim.Batch) -> tuple[list[lease.Held], list[run.Outcome]]:
        held = self.leases.hold(batch.jobs)
        try:
            return held, self._run(held)
        except BaseException:
            self.leases.release(held)
            raise

    def _finish(self, held: Sequence[lease.Held], outcomes: Sequence[run.Outcome]) -> int:
        try:
            return self._settle(outcomes)
        finally:
            self.leases.release(held)

    def _run(self, held: Sequence[lease.Held]) -> list[run.Outcome]:
        job = held[0].job
        try:
            model = self._open(job)
        except errors.CoatcheckError as error:
            return [run.Outcome(item, error=error) for item in held]
        with metrics.INFERENCE_SECONDS.labels(job.model).time():
            outcomes = run.run(model, held)
        log.info("batch_ran", model=job.model, version=job.version, jobs=len(held), attempt=job.attempt)
        return outcomes

    def _open(self, job: Claimed) -> Model:
        return self.catalog.open(self.catalog.resolve(job.model, job.version))

    def _settle(self, outcomes: Sequence[run.Outcome]) -> int:
        done = [self._done(item) for item in outcomes if item.complete and not (item.held.canceled or item.held.lost)]
        ours = self._insist(functools.partial(settle.complete, self.engine, done)) if done else set[uuid.UUID]()
        fenced = [item.job.id for item in done if item.job.id not in ours]
        settled = len(ours)
        for outcome in outcomes:
            write = _ending(outcome)
            if write is not None and not self._insist(functools.partial(write, self.engine)):
                fenced.append(outcome.held.job.id)
            settled += write is not None
        if fenced:
            metrics.FENCED.inc(len(fenced))
            log.warning("write_fenced", job_ids=[str(item) for item in fenced])
        return settled

    def _done(self, outcome: run.Outcome) -> settle.Done:
        job = outcome.held.job
        manifest = self.catalog.resolve(job.model, job.version).manifest
        bodies = [body(prediction) for prediction in outcome.predictions]
        result: dict[str, Any] = {"predictions": bodies} if isinstance(job.inputs, list) else bodies[0]
        return settle.Done(job, result, units=manifest.units * len(bodies), run_ms=round(outcome.run_s * 1000))

    def _insist(self, write: Callable[[], T]) -> T:
        """Repeat a fenced write through an outage, until the lease would have run out anyway."""
        ends_at = time.monotonic() + self.settings.lease_s
        while True:
            try:
                return write()
            except database.OUTAGES:
                if time.monotonic() > ends_at:
                    raise
                time.sleep(0.2)


def _ending(outcome: run.Outcome) -> Callable[[sqlalchemy.Engine], bool] | None:
    """How an attempt that is not simply completed ends; None for a completed one and for one that is not ours any
    more."""
    held, job, error = outcome.held, outcome.held.job, outcome.error
    if held.lost:
        return None
    if held.canceled:
        return lambda engine: settle.cancel(engine, job)
    if isinstance(error, (errors.ModelUnavailable, errors.Unavailable)):
        return lambda engine: settle.put_off(engine, job, error)
    if error is not None:
        return lambda engine: settle.fail(engine, job, error)
    if not outcome.complete:
        return lambda engine: settle.give_back(engine, job)
    return None


def body(prediction: Prediction) -> dict[str, Any]:
    """A prediction as it is stored and handed out."""
    return {"prediction": prediction.label, "confidence": prediction.confidence, "scores": prediction.scores}
