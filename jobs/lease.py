"""Keeping what was claimed: heartbeats from a thread of their own, on a connection of their own."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
import structlog
from sqlalchemy import text

from core import database
from inference.interrupt import Interrupt
from jobs import pieces
from jobs.job import Claimed
from jobs.pieces import Pieces

log = structlog.get_logger()

#: So many heartbeats may fail in a row before the worker stops taking new work.
TOLERATED_FAILURES = 1
#: How often run limits and the wish to stop are looked at; a heartbeat is due more rarely.
TICK_S = 0.2
#: A heartbeat is due earlier when it has progress to tell, but not more often than this.
NEWS_S = 1.0
#: Progress before the result is stored; 100 means completed.
ALMOST = 99
#: After this part of its time a run that can do with less had better end.
SOON = 0.8

_HEARTBEAT = text("""
UPDATE jobs SET lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s),
  progress = greatest(jobs.progress, mine.progress)
FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:progress AS int[])) AS mine (id, attempt, progress)
WHERE jobs.id = mine.id AND lower(jobs.status) = 'processing' AND jobs.attempt = mine.attempt AND worker IS NOT NULL
RETURNING jobs.id, cancel_requested_at IS NOT NULL AS canceled, now() AS renewed_at
""")


@dataclass
class Held:
    """One claimed job: progress goes out with the heartbeat, and what it brings in says why to stop."""

    job: Claimed
    progress: int = 0
    told: int = 0  #: the progress that the last heartbeat took along
    canceled: bool = False  #: its tenant does not want it any more
    renewed_at: dt.datetime | None = None  #: its lease, last; on the database's clock
    lost: bool = False  #: it belongs to somebody else by now, or has ended
    timed_out: bool = False  #: it ran longer than it may
    given_back: bool = False  #: this worker is going away
    shown: bool = False  #: Flower was told that it began
    run_ends_at: float | None = None  #: monotonic; None while it does not run
    interrupt: Interrupt = field(default_factory=Interrupt)  #: of the run that it is in
    pieces: Pieces | None = None  #: of the output, from the first one on

    @property
    def wanted(self) -> bool:
        return not (self.canceled or self.lost or self.timed_out or self.given_back)

    def advance(self, fraction: float) -> None:
        """Progress as a part of 1, whatever a kind's own code takes for one; the rest to 100 is the settle's."""
        # In this order NaN is 0.
        self.progress = int(ALMOST * min(max(0.0, fraction), 1.0))

    def emit(self, piece: Mapping[str, Any] | str) -> None:
        """Tell a piece of the output to whoever follows the job, within a moment; what comes in the same moment goes
        together. Called by one thread alone."""
        if self.pieces is None:
            self.pieces = Pieces()
        self.pieces.add(piece)

    def begin(self, interrupt: Interrupt, runs: int = 1) -> None:
        """It is in this run now, the first of so many that are left; its time starts with its very first one."""
        self.interrupt = interrupt
        if self.run_ends_at is None:
            self.run_ends_at = time.monotonic() + self.job.timeout_s
        now = time.monotonic()
        interrupt.soon_at = min(interrupt.soon_at, now + SOON * (self.run_ends_at - now) / runs)

    def begin_again(self) -> None:
        """Its time was used up in company; alone it gets all of it."""
        self.timed_out, self.run_ends_at = False, None


class Leases(threading.Thread):
    """Renews every held lease each `heartbeat_s` until `close`; safe to use from any thread."""

    def __init__(
        self,
        engine: sqlalchemy.Engine,
        *,
        lease_s: float,
        heartbeat_s: float,
        grace_s: float,
        asked_to_stop: Callable[[], bool],
    ) -> None:
        super().__init__(name="leases", daemon=True)
        self._engine = engine
        self._lease_s = lease_s
        self._heartbeat_s = heartbeat_s
        self._grace_s = grace_s
        self._asked_to_stop = asked_to_stop
        self._held: dict[uuid.UUID, Held] = {}
        self._lock = threading.Lock()
        #: Pieces stay in order.
        self._telling = threading.Lock()
        self._closing = threading.Event()
        self._failures = 0
        self._stop_at: float | None = None

    @property
    def may_claim(self) -> bool:
        """False while heartbeats keep failing, and once this worker was asked to stop: finish what is there."""
        return self._failures <= TOLERATED_FAILURES and not self._asked_to_stop()

    def hold(self, jobs: Iterable[Claimed]) -> list[Held]:
        held = [Held(job) for job in jobs]
        with self._lock:
            self._held.update({item.job.id: item for item in held})
        return held

    def release(self, held: Iterable[Held]) -> None:
        with self._lock:
            for item in held:
                # A later attempt of the same job may be held here by now.
                if self._held.get(item.job.id) is item:
                    del self._held[item.job.id]

    def renewed_since(self) -> dt.datetime | None:
        """Since when each of these was claimed or renewed, on the database's clock; None where none is held."""
        with self._lock:
            last = [item.renewed_at or item.job.claimed_at for item in self._held.values()]
        return min((at for at in last if at), default=None)

    def run(self) -> None:
        last = time.monotonic()
        while not self._closing.wait(min(TICK_S, self._heartbeat_s)):
            silence_s = time.monotonic() - last
            if silence_s >= self._heartbeat_s or (silence_s >= NEWS_S and self._news):
                last = time.monotonic()
                self.beat()
            self.tick()
            self._tell()

    @property
    def _news(self) -> bool:
        with self._lock:
            return any(item.progress > item.told for item in self._held.values())

    def tick(self) -> None:
        """What needs no database: run limits, and the end of the grace; then runs that nobody wants are interrupted."""
        now = time.monotonic()
        if self._stop_at is None and self._asked_to_stop():
            self._stop_at = now + self._grace_s
        with self._lock:
            held = list(self._held.values())
        for item in held:
            item.timed_out = item.run_ends_at is not None and now > item.run_ends_at
            item.given_back = self._stop_at is not None and now > self._stop_at
        _interrupt(held)

    def beat(self) -> None:
        """One heartbeat for everything held."""
        with self._lock:
            held = list(self._held.values())
        try:
            told = {item.job.id: item.progress for item in held}
            renewed = self._renew(told, held) if held else {}
        except database.OUTAGES as error:
            self._failures += 1
            log.warning("heartbeat_failed", failures=self._failures, error=type(error).__name__)
            return
        self._failures = 0
        for item in held:
            item.told = told[item.job.id]
            mine = renewed.get(item.job.id)
            item.lost, item.canceled = mine is None, mine is not None and mine.canceled
            item.renewed_at = item.renewed_at if mine is None else mine.renewed_at

    def _renew(self, progress: Mapping[uuid.UUID, int], held: list[Held]) -> dict[uuid.UUID, Any]:
        parameters = {
            "ids": [item.job.id for item in held],
            "attempts": [item.job.attempt for item in held],
            "progress": [progress[item.job.id] for item in held],
            "lease_s": self._lease_s,
        }
        with self._engine.begin() as connection:
            return {row.id: row for row in connection.execute(_HEARTBEAT, parameters)}

    def _tell(self) -> None:
        with self._lock:
            held = list(self._held.values())
        # What cannot be told now is told with what comes next.
        with contextlib.suppress(*database.OUTAGES):
            self.tell(held)

    def tell(self, held: Iterable[Held]) -> None:
        """The pieces that these have not told yet; raises an outage, and loses none then."""
        waiting = {(item.job.id, item.job.attempt): item.pieces for item in held if item.pieces is not None}
        if waiting:
            with self._telling:
                pieces.tell(self._engine, waiting)

    def close(self) -> None:
        self._closing.set()


def _interrupt(held: Sequence[Held]) -> None:
    """End a run early when a job in it is over its time, or when no job in it is wanted."""
    runs: dict[Interrupt, list[Held]] = {}
    for item in held:
        runs.setdefault(item.interrupt, []).append(item)
    for interrupt, together in runs.items():
        if any(item.timed_out for item in together) or not any(item.wanted for item in together):
            interrupt.set()
