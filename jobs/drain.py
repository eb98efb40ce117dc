"""What a wake-up does: claim, run, settle, until nothing is due or the slice of time is over.

Where runs are quick the three overlap: while one batch runs, the last one is settled and the next one is claimed. What
takes long is not waited for with a batch in hand that another worker could have.
"""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import sqlalchemy

from core import broker
from core.board import Board
from jobs import claim, lease, settle, shown
from jobs.attempt import Attempts
from jobs.finish import Finisher
from jobs.floors import Floors
from jobs.outcome import Outcome
from jobs.presence import Presence
from jobs.shadows.slack import Slack

#: A batch is claimed ahead of its turn behind one whose kind took no longer than this, the last time.
AHEAD_S = 0.2


@dataclass(frozen=True)
class Taken:
    """A batch in this worker's hands; `full` says that more may be waiting behind it."""

    held: list[lease.Held]
    full: bool

    @property
    def sort(self) -> tuple[str, str, str]:
        """What takes as long as it did the last time."""
        job = self.held[0].job
        return job.kind, job.model, job.version


@dataclass(frozen=True)
class Drainer:
    """One worker process: what it needs to empty a pool."""

    engine: sqlalchemy.Engine
    hints: broker.Hints
    leases: lease.Leases
    attempts: Attempts
    finisher: Finisher
    presence: Presence
    board: Board
    slack: Slack
    slice_s: float  #: how long one wake-up may drain
    lease_s: float
    floors: Floors = field(default_factory=Floors)
    #: Settles one batch while the next one runs: Postgres and the model each have a core to themselves.
    settler: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "settler"))
    claimer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "claimer"))

    def drain(self, pool: str, wake_id: str) -> int:
        """Run what is due in `pool`, and ask shadows while nothing is; returns how many jobs were settled here."""
        self.hints.clear(pool)
        settled = 0
        settling: Future[int] | None = None
        ahead: Future[Taken | None] | None = None
        quick: tuple[str, str, str] | None = None
        ends_at = time.monotonic() + self.slice_s
        over = False
        try:
            while not over:
                taken, ahead = (ahead.result() if ahead else None) or self._claim(pool, wake_id), None
                over = time.monotonic() > ends_at
                if taken is None:
                    if not self._used_slack(pool):
                        break
                    if over:
                        self.hints.send(pool)
                    continue
                if taken.full or over:
                    self.hints.send(pool)
                if taken.sort == quick and not over and _goes_on(taken):
                    ahead = self.claimer.submit(self._claim, pool, wake_id)
                with self.presence.working(len(taken.held)):
                    began = time.monotonic()
                    outcomes = self._work(taken.held)
                    quick = taken.sort if time.monotonic() - began < AHEAD_S else None
                    # First this one is on its way: whatever came of the last one must not leave it behind.
                    last, settling = settling, self.settler.submit(self.finisher.finish, taken.held, outcomes)
                    settled += last.result() if last else 0
        except BaseException:
            if ahead:
                self._give_back(ahead)
            raise
        return settled + (settling.result() if settling else 0)

    def _claim(self, pool: str, wake_id: str) -> Taken | None:
        """The next batch, renewed from now on; None when nothing is due, or nothing may be taken any more."""
        if not self.leases.may_claim:
            self.hints.send(pool)
            return None

        def behind(floor: dt.datetime | None) -> claim.Batch | None:
            return claim.claim(
                self.engine,
                pool=pool,
                worker=self.presence.name,
                wake_id=wake_id,
                lease_s=self.lease_s,
                floor=floor,
                leases_from=self.presence.leases_from,
            )

        batch = self.floors.look(pool, behind)
        return Taken(self.leases.hold(batch.jobs), batch.full) if batch else None

    def _give_back(self, ahead: Future[Taken | None]) -> None:
        """What was claimed, and is not run any more."""
        held = taken.held if (taken := ahead.result()) else []
        self.leases.release(held)
        for item in held:
            settle.give_back(self.engine, item.job)

    def _used_slack(self, pool: str) -> bool:
        """Whether shadows had something to be asked; never while this worker is to stop."""
        return self.leases.may_claim and self.slack.use(pool)

    def _work(self, held: list[lease.Held]) -> list[Outcome]:
        shown.begun(self.board, self.presence.name, held)
        try:
            return self.attempts.run(held)
        except BaseException:
            self.leases.release(held)
            raise


def _goes_on(taken: Taken) -> bool:
    """Whether there is more behind it, and nobody in it has lost a worker: who has runs alone, and takes nobody along
    that was claimed meanwhile."""
    return taken.full and len(taken.held) > 1
