"""What a wake-up does: claim, run, settle, until nothing is due or the slice of time is over.

Where runs are quick the three overlap: while one batch runs, the last one is settled and the next one is claimed. What
takes long is not waited for with a batch in hand that another worker could have.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import sqlalchemy

from core import broker, database
from core.board import Board
from jobs import claim, lease, settle, shown
from jobs.attempt import Attempts
from jobs.finish import Finisher
from jobs.floors import Floors
from jobs.presence import Presence
from jobs.shadows.slack import Slack

#: A batch is claimed ahead behind one of a version that takes no longer than this, and kept for so long.
AHEAD_S = 0.2
#: A kind, a model and its version.
Sort = tuple[str, str, str]


@dataclass(frozen=True)
class Taken:
    """A batch in this worker's hands; `full` says that more may be waiting behind it."""

    held: list[lease.Held]
    full: bool

    @property
    def sort(self) -> Sort:
        """What takes as long as it did the last time."""
        job = self.held[0].job
        return job.kind, job.model, job.version

    @property
    def goes_on(self) -> bool:
        """Whether there is more behind it, and nobody in it has lost a worker: who has takes nobody along that was
        claimed meanwhile."""
        return self.full and len(self.held) > 1


#: Says that it is its turn, and gives what was claimed ahead of it; None where nothing was.
Ahead = Callable[[], Taken | None]


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

    def __post_init__(self) -> None:
        # What is waited for in a thread that cannot be started is held for ever.
        for executor in (self.settler, self.claimer):
            executor.submit(int).result()

    def drain(self, pool: str, wake_id: str) -> int:
        """Run what is due in `pool`, and ask shadows while nothing is; returns how many jobs were settled here."""
        self.hints.clear(pool)
        settled = 0
        settling: Future[int] | None = None
        ahead: Ahead = _nothing
        last: Sort | None = None
        slow: set[Sort] = set()
        ends_at = time.monotonic() + self.slice_s
        over = False
        while not over:
            taken = ahead() or self._claim(pool, wake_id)
            over = time.monotonic() > ends_at
            if taken is None:
                if not self._used_slack(pool):
                    break
                if over:
                    self.hints.send(pool)
                continue
            began = time.monotonic()
            quick = taken.sort == last and taken.sort not in slow
            with self.presence.working(len(taken.held)):
                ahead, running = self._work(pool, wake_id, taken, more=quick and not over, over=over)
                # First this one is on its way: whatever came of the last one must not leave it behind.
                before, settling = settling, running
                settled += before.result() if before else 0
            last = taken.sort
            if time.monotonic() - began > AHEAD_S:
                slow.add(last)
        return settled + (settling.result() if settling else 0)

    def _claim(self, pool: str, wake_id: str, *, ahead: bool = False) -> Taken | None:
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
                ahead=ahead,
            )

        batch = self.floors.look(pool, behind, ahead=ahead)
        return Taken(self.leases.hold(batch.jobs), batch.full) if batch else None

    def _ahead(self, pool: str, wake_id: str) -> Ahead:
        """Claim the next batch while this one runs. Whoever calls what comes back has it, or waits for it; if nobody
        does in AHEAD_S, or this worker is to stop, it is given back: another one could have it."""
        called = threading.Event()

        def claimed() -> Taken | None:
            taken = self._claim(pool, wake_id, ahead=True)
            if taken and not (called.wait(AHEAD_S) and self.leases.may_claim):
                self._give_back(pool, taken)
                return None
            return taken

        found = self.claimer.submit(claimed)

        def take() -> Taken | None:
            called.set()
            return found.result()

        return take

    def _give_back(self, pool: str, taken: Taken) -> None:
        jobs = [item.job for item in taken.held]
        try:
            for job in jobs:
                self.attempts.count(job, "given_back")
            database.insist(lambda: settle.give_back(self.engine, jobs), for_s=self.lease_s)
        finally:
            self.leases.release(taken.held)
        self.hints.send(pool)
        # One that was canceled meanwhile has ended by it.
        if any(job.notifies for job in jobs):
            self.hints.send(broker.WEBHOOKS)

    def _used_slack(self, pool: str) -> bool:
        """Whether shadows had something to be asked; never while this worker is to stop."""
        return self.leases.may_claim and self.slack.use(pool)

    def _work(self, pool: str, wake_id: str, taken: Taken, *, more: bool, over: bool) -> tuple[Ahead, Future[int]]:
        """Run these; how many are ended here is known once they are settled. With `more` the next ones are claimed
        meanwhile. What breaks off is renewed no more."""
        try:
            if taken.full or over:
                self.hints.send(pool)
            ahead = self._ahead(pool, wake_id) if more and taken.goes_on else _nothing
            shown.begun(self.board, self.presence.name, taken.held)
            outcomes = self.attempts.run(taken.held)
            return ahead, self.settler.submit(self.finisher.finish, taken.held, outcomes)
        except BaseException:
            self.leases.release(taken.held)
            raise


def _nothing() -> Taken | None:
    """What was claimed ahead where nothing was."""
    return None
