"""What a wake-up does: claim, run, settle, until nothing is due or the slice of time is over."""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import sqlalchemy

from core import broker
from core.board import Board
from jobs import claim, lease, shown
from jobs.attempt import Attempts
from jobs.finish import Finisher
from jobs.floors import Floors
from jobs.outcome import Outcome
from jobs.presence import Presence
from jobs.shadows.slack import Slack


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

    def drain(self, pool: str, wake_id: str) -> int:
        """Run what is due in `pool`, and ask shadows while nothing is; returns how many jobs were settled here."""
        self.hints.clear(pool)
        settled = 0
        settling: Future[int] | None = None
        ends_at = time.monotonic() + self.slice_s
        over = False
        while not over:
            batch = self._claim(pool, wake_id)
            over = time.monotonic() > ends_at
            if batch is None:
                if not self._used_slack(pool):
                    break
                if over:
                    self.hints.send(pool)
                continue
            if batch.full or over:
                self.hints.send(pool)
            with self.presence.working(len(batch.jobs)):
                held, outcomes = self._work(batch)
                # First this one is on its way: whatever came of the last one must not leave it behind.
                last, settling = settling, self.settler.submit(self.finisher.finish, held, outcomes)
                settled += last.result() if last else 0
        return settled + (settling.result() if settling else 0)

    def _claim(self, pool: str, wake_id: str) -> claim.Batch | None:
        """The next batch; None when nothing is due, or nothing may be taken any more."""
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

        return self.floors.look(pool, behind)

    def _used_slack(self, pool: str) -> bool:
        """Whether shadows had something to be asked; never while this worker is to stop."""
        return self.leases.may_claim and self.slack.use(pool)

    def _work(self, batch: claim.Batch) -> tuple[list[lease.Held], list[Outcome]]:
        held = self.leases.hold(batch.jobs)
        shown.begun(self.board, self.presence.name, held)
        try:
            return held, self.attempts.run(held)
        except BaseException:
            self.leases.release(held)
            raise
