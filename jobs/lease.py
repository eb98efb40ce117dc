"""Keeping what was claimed: heartbeats from a thread of their own, on a connection of their own."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy
import structlog
from sqlalchemy import text

from core import database
from jobs.job import Claimed

log = structlog.get_logger()

#: So many heartbeats may fail in a row before the worker stops taking new work.
TOLERATED_FAILURES = 1

_HEARTBEAT = text("""
UPDATE jobs SET lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s),
  progress = greatest(jobs.progress, mine.progress)
FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:progress AS int[])) AS mine (id, attempt, progress)
WHERE jobs.id = mine.id AND jobs.status = 'processing' AND jobs.attempt = mine.attempt
RETURNING jobs.id, cancel_requested_at IS NOT NULL AS canceled
""")


@dataclass
class Held:
    """What the heartbeat says about one claimed job: progress goes out, `canceled` and `lost` come in."""

    job: Claimed
    progress: int = 0
    canceled: bool = False
    lost: bool = False

    @property
    def wanted(self) -> bool:
        return not (self.canceled or self.lost)


class Leases(threading.Thread):
    """Renews every held lease each `heartbeat_s` until `close`; safe to use from any thread."""

    def __init__(self, engine: sqlalchemy.Engine, *, lease_s: float, heartbeat_s: float) -> None:
        super().__init__(name="leases", daemon=True)
        self._engine = engine
        self._lease_s = lease_s
        self._heartbeat_s = heartbeat_s
        self._held: dict[uuid.UUID, Held] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._failures = 0

    @property
    def healthy(self) -> bool:
        """False once heartbeats keep failing: hold on to what is there, take nothing new."""
        return self._failures <= TOLERATED_FAILURES

    def hold(self, jobs: Iterable[Claimed]) -> list[Held]:
        held = [Held(job) for job in jobs]
        with self._lock:
            self._held.update({item.job.id: item for item in held})
        return held

    def release(self, held: Iterable[Held]) -> None:
        with self._lock:
            for item in held:
                self._held.pop(item.job.id, None)

    def run(self) -> None:
        while not self._closing.wait(self._heartbeat_s):
            self.beat()

    def beat(self) -> None:
        """One heartbeat for everything held."""
        with self._lock:
            held = list(self._held.values())
        try:
            alive = self._renew(held) if held else {}
        except database.OUTAGES as error:
            self._failures += 1
            log.warning("heartbeat_failed", failures=self._failures, error=type(error).__name__)
            return
        self._failures = 0
        for item in held:
            item.lost = item.job.id not in alive
            item.canceled = alive.get(item.job.id, False)

    def _renew(self, held: list[Held]) -> dict[uuid.UUID, bool]:
        parameters = {
            "ids": [item.job.id for item in held],
            "attempts": [item.job.attempt for item in held],
            "progress": [item.progress for item in held],
            "lease_s": self._lease_s,
        }
        with self._engine.begin() as connection:
            return {row.id: row.canceled for row in connection.execute(_HEARTBEAT, parameters)}

    def close(self) -> None:
        self._closing.set()
