"""How much one tenant may have waiting."""

from __future__ import annotations

import threading
import time
import uuid

import sqlalchemy
from sqlalchemy import text

from core import errors

#: How long a count is good for. Between two counts every admission is subtracted; other processes' are not seen, so a
#: tenant can be over its limit by what it hands in to them within this time.
COUNT_S = 1.0

_WAITING = text("""
SELECT count(*) FROM (
  SELECT FROM jobs WHERE tenant_id = :tenant_id AND status = 'pending' AND parent_id IS NULL LIMIT :most
) AS waiting
""")


class Backlog:
    """Admits a tenant's jobs up to its tier's `max_pending`."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._room: dict[uuid.UUID, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def admit(self, tenant_id: uuid.UUID, max_pending: int) -> bool:
        """True when it was found just now that nothing of this tenant waits; raises BacklogFull."""
        now, empty = time.monotonic(), False
        with self._lock:
            good_until, room = self._room.get(tenant_id, (0.0, 0))
        if good_until < now:
            waiting = self._count(tenant_id, max_pending)
            good_until, room, empty = now + COUNT_S, max_pending - waiting, waiting == 0
        with self._lock:
            if len(self._room) > 10_000:
                self._room.clear()
            self._room[tenant_id] = (good_until, room - 1)
        if room <= 0:
            raise errors.BacklogFull(
                f"{max_pending} jobs are waiting already, as many as your tier allows; wait for some to start",
                details={"limit": max_pending},
            )
        return empty

    def _count(self, tenant_id: uuid.UUID, most: int) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(_WAITING, {"tenant_id": tenant_id, "most": most}).scalar_one())
