"""What a worker process says of itself with every heartbeat. Nothing decides by it; people and estimates read it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import sqlalchemy
from sqlalchemy import text

#: How much the newest stretch of work weighs in the rate.
WEIGHT = 0.5

_TELL = text("""
INSERT INTO workers (name, pool, jobs_per_s) VALUES (:name, :pool, :jobs_per_s)
ON CONFLICT (name) DO UPDATE SET seen_at = now(), pool = excluded.pool, jobs_per_s = excluded.jobs_per_s
""")


class Presence:
    """A worker's name, pool and speed: jobs per second of the time in which it had work."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pool: str | None = None
        self._rate = 0.0
        self._jobs = 0
        self._busy_s = 0.0

    @contextlib.contextmanager
    def working(self, pool: str, jobs: int) -> Iterator[None]:
        started = time.monotonic()
        self.pool = pool
        try:
            yield
        finally:
            self._jobs += jobs
            self._busy_s += time.monotonic() - started

    def tell(self, engine: sqlalchemy.Engine) -> None:
        """Write it down, once it has a pool."""
        if self.pool is None:
            return
        jobs, busy_s, self._jobs, self._busy_s = self._jobs, self._busy_s, 0, 0.0
        if jobs:
            newest = jobs / max(busy_s, 1e-6)
            self._rate = newest if not self._rate else WEIGHT * newest + (1 - WEIGHT) * self._rate
        with engine.begin() as connection:
            connection.execute(_TELL, {"name": self.name, "pool": self.pool, "jobs_per_s": self._rate})
