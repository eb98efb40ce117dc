"""`fair_at`: start-time fair queueing (P. Goyal, H. M. Vin, H. Cheng, 1996).

A job's place is start = max(virtual time, end of the tenant's last one); end = start + cost / pace. Virtual time is
where the
pool's head stands, and the clock when nobody waits. So however long the queue, a tenant that comes new stands at its
head, and
tenants that all have a backlog take turns in proportion to their tiers' pace. It orders; it does not delay.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from access.tiers import Tier
from core.broker import KEY_PREFIX, Line
from jobs.job import CLASS_OFFSET_S, PRIORITY_OFFSET_S, Kind, Priority

#: How long a look at the head of a pool is good for.
LOOK_S = 0.1

_HEAD = text("""
SELECT priority, kind, extract(epoch FROM now() - fair_at) AS age_s FROM jobs
WHERE status = 'pending' AND pool = :pool ORDER BY fair_at, id LIMIT 1
""")

# On Redis's own clock, asked and answered as distances from now.
_NEXT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local start = math.max(now - ARGV[2], tonumber(redis.call('GET', KEYS[1]) or '0'))
redis.call('SET', KEYS[1], string.format('%.6f', start + ARGV[1]), 'EX', 86400)
return string.format('%.6f', start - now)
"""


@dataclass(frozen=True)
class Place:
    """What decides where a job stands; `cost` in units."""

    tenant_id: uuid.UUID
    tier: Tier
    pool: str
    kind: Kind
    priority: Priority
    cost: int


class Fairness:
    """Where the next job of a tenant stands; without Redis it is at the virtual time."""

    def __init__(self, engine: sqlalchemy.Engine, line: Line) -> None:
        self._engine = engine
        self._line = line
        self._next = line.redis.register_script(_NEXT)
        self._lags: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def offset_s(self, place: Place) -> float:
        """Seconds from now to the job's `fair_at`, negative for one in front: its start, its class and its priority."""
        lag = self._lag_s(place.pool)
        key, spacing = _key(place.tenant_id, place.pool), place.cost / place.tier.pace
        start = self._line.call(lambda: float(self._next(keys=[key], args=[spacing, lag])), -lag)
        return start + CLASS_OFFSET_S[place.kind] + PRIORITY_OFFSET_S[place.priority]

    def start_afresh(self, tenant_id: uuid.UUID, pool: str) -> None:
        """For a tenant with nothing waiting: what it had done in the past does not hold it back."""
        self._line.call(lambda: self._line.redis.delete(_key(tenant_id, pool)), None)

    def _lag_s(self, pool: str) -> float:
        """How far the virtual time of a pool is behind the clock."""
        with self._lock:
            good_until, lag = self._lags.get(pool, (0.0, 0.0))
        if good_until < time.monotonic():
            with self._engine.connect() as connection:
                head = connection.execute(_HEAD, {"pool": pool}).first()
            lag = 0.0
            if head is not None:
                # Without the head's own class and priority: those put it where it is, but are nobody else's.
                own = CLASS_OFFSET_S[Kind(head.kind)] + PRIORITY_OFFSET_S[Priority(head.priority)]
                lag = max(0.0, float(head.age_s) + own)
            with self._lock:
                self._lags[pool] = (time.monotonic() + LOOK_S, lag)
        return lag


def _key(tenant_id: uuid.UUID, pool: str) -> str:
    return f"{KEY_PREFIX}fair:{pool}:{tenant_id.hex}"
