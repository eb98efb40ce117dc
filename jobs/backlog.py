"""How much one tenant may have waiting."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass

import sqlalchemy
from cachetools import TTLCache, cached
from sqlalchemy import text

from core import database, errors

#: How long a count is good for. Between two counts every admission is subtracted; other processes' are not seen, so a
#: tenant can be over its limit by what it hands in to them within this time.
COUNT_S = 1.0
#: Of so many, those seen last, the count is remembered.
TENANTS = 10_000

_WAITING = text("""
SELECT count(*) FROM (
  SELECT FROM jobs WHERE tenant_id = :tenant_id AND status = 'pending' AND parent_id IS NULL LIMIT :most
) AS waiting
""")


_COUNT = text("""
SELECT (SELECT count(*) FROM jobs WHERE tenant_id = :tenant_id AND status = 'pending' AND parent_id IS NULL) AS waiting,
  (SELECT count(*) FROM jobs WHERE tenant_id = :tenant_id AND status = 'processing' AND worker IS NOT NULL) AS running
""")


@dataclass(frozen=True)
class Count:
    """A tenant's jobs: those that wait, and those that workers run."""

    waiting: int
    running: int


def count(engine: sqlalchemy.Engine, tenant_id: uuid.UUID) -> Count:
    """Raises Unavailable."""
    with database.reading(engine) as connection:
        return Count(**connection.execute(_COUNT, {"tenant_id": tenant_id}).mappings().one())


@dataclass
class _Room:
    """For how many more jobs there is room; `empty` until the first of them, if nothing waited."""

    left: int
    empty: bool


class Backlog:
    """Admits a tenant's jobs up to its tier's `max_pending`."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._room = cached(TTLCache(TENANTS, COUNT_S), lock=self._lock)(self._count)

    def admit(self, tenant_id: uuid.UUID, max_pending: int) -> bool:
        """True when it was found just now that nothing of this tenant waits; raises BacklogFull."""
        room = self._room(tenant_id, max_pending)
        with self._lock:
            left, empty = room.left, room.empty
            room.left, room.empty = left - 1, False
        if left <= 0:
            raise errors.BacklogFull(
                f"{max_pending} jobs are waiting already, as many as your tier allows; wait for some to start",
                details={"limit": max_pending},
            )
        return empty

    def _count(self, tenant_id: uuid.UUID, most: int) -> _Room:
        with database.alone(self._engine) as connection:
            waiting = int(connection.execute(_WAITING, {"tenant_id": tenant_id, "most": most}).scalar_one())
        return _Room(most - waiting, empty=waiting == 0)
