"""`fair_at`: start-time fair queueing (P. Goyal, H. M. Vin, H. Cheng, 1996).

A job's place is start = max(virtual time, end of the tenant's last one); end = start + cost / pace. Virtual time is
where the pool's head stands, and the clock when nobody waits. So however long the queue, a tenant that comes new stands
at its head, and tenants that all have a backlog take turns in proportion to their tiers' pace. Nobody new passes what
has waited for AGE_S. It orders; it does not delay.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from cachetools import TTLCache, cached
from sqlalchemy import text

from access.tiers import Tier
from core import database
from core.broker import KEY_PREFIX, POOLS, Line
from jobs import floors, kinds
from jobs.job import PRIORITY_OFFSET_S, Priority
from jobs.kinds.kind import Kind

#: How long a look at the head of a pool is good for.
LOOK_S = 0.1
#: The furthest that virtual time may be behind the clock, so that everything ages to the front.
AGE_S = 600.0

_HEAD = text("""
SELECT priority, kind, fair_at, now() AS seen_at FROM jobs
WHERE status = 'pending' AND pool = :pool AND fair_at >= coalesce(CAST(:floor AS timestamptz), '-infinity')
ORDER BY fair_at, id LIMIT 1
""")

# The newest of a tenant's waiting jobs stands behind all others of that tenant.
_OWN_LAST = text("""
SELECT priority, kind, fair_at, now() AS seen_at FROM jobs
WHERE tenant_id = :tenant_id AND status = 'pending' AND parent_id IS NULL AND pool = :pool ORDER BY id DESC LIMIT 1
""")

# On Redis's own clock, asked and answered as distances from now, for one job after the other: spacing, floor, and
# whether it is known that nobody knows the tenant. Nothing for one whose tenant it does not know, unless that is so.
_NEXT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local starts = {}
for at, key in ipairs(KEYS) do
  local spacing, floor, known = ARGV[3 * at - 2], ARGV[3 * at - 1], ARGV[3 * at]
  local last = redis.call('GET', key)
  if not last and known == '0' then
    starts[at] = ''
  else
    local start = math.max(now + floor, tonumber(last or '0'))
    redis.call('SET', key, string.format('%.6f', start + spacing), 'EX', 86400)
    starts[at] = string.format('%.6f', start - now)
  end
end
return starts
"""


@dataclass(frozen=True)
class _Head:
    """Of a pool: its start, how long ago that is, and the floor that follows."""

    age_s: float
    floor: dt.datetime


@dataclass(frozen=True)
class Place:
    """What decides where a job stands; `cost` in units."""

    tenant_id: uuid.UUID
    tier: Tier
    pool: str
    kind: Kind
    priority: Priority
    cost: int

    @property
    def spacing(self) -> float:
        """How far behind its start the tenant's next one stands, in seconds."""
        return self.cost / self.tier.pace


@dataclass(frozen=True)
class _Asked:
    """A place with its earliest start, in seconds from now; `known` where it is known that Redis knows nothing of the
    tenant."""

    place: Place
    floor: float
    known: bool = False


class Fairness:
    """Where the next job of a tenant stands. Redis remembers where its last one does; without Redis, and when Redis
    forgot, the tenant's waiting jobs say it."""

    def __init__(self, engine: sqlalchemy.Engine, line: Line) -> None:
        self._engine = engine
        self._line = line
        self._floors = floors.Floors()
        self._script = line.redis.register_script(_NEXT)
        self._lag_s = cached(TTLCache(len(POOLS), LOOK_S), lock=threading.Lock())(self._look)

    def offsets_s(self, places: Sequence[Place]) -> list[float]:
        """Seconds from now to each job's `fair_at`, negative for those in front: start, class and priority."""
        asked = [_Asked(place, -self._lag_s(place.pool)) for place in places]
        ends: dict[str, float] = {}
        starts = [
            self._unknown(one, ends) if start is None else start
            for one, start in zip(asked, self._next(asked), strict=True)
        ]
        return [start + own_s(place.kind, place.priority) for place, start in zip(places, starts, strict=True)]

    def _unknown(self, asked: _Asked, ends: dict[str, float]) -> float:
        """The start of one whose tenant Redis does not know, or which it could not be asked for, behind the tenant's
        other ones that are not stored yet, whose `ends` are kept."""
        key = _key(asked.place.tenant_id, asked.place.pool)
        floor = max(asked.floor, ends[key] if key in ends else self._behind_own(asked))
        [start] = self._next([dataclasses.replace(asked, floor=floor, known=True)])
        start = floor if start is None else start
        ends[key] = start + asked.place.spacing
        return start

    def start_afresh(self, tenant_id: uuid.UUID, pool: str) -> None:
        """For a tenant with nothing waiting: what it had done in the past does not hold it back."""
        self._line.call(lambda: self._line.redis.delete(_key(tenant_id, pool)), None)

    def _next(self, asked: Sequence[_Asked]) -> list[float | None]:
        """The starts, and the tenants' last ones moved behind them; None without Redis, or where it does not know."""
        keys = [_key(one.place.tenant_id, one.place.pool) for one in asked]
        arguments = [value for one in asked for value in (one.place.spacing, one.floor, int(one.known))]
        found = self._line.call(lambda: self._script(keys=keys, args=arguments), [b""] * len(asked))
        return [float(start) if start else None for start in found]

    def _behind_own(self, asked: _Asked) -> float:
        """Behind the tenant's last waiting job, if there is one."""
        with database.alone(self._engine) as connection:
            parameters = {"tenant_id": asked.place.tenant_id, "pool": asked.place.pool}
            last = connection.execute(_OWN_LAST, parameters).first()
        return -math.inf if last is None else asked.place.spacing - _age_s(last)

    def _look(self, pool: str) -> float:
        """How far the virtual time of a pool is behind the clock, in seconds."""
        head = self._floors.look(pool, lambda floor: self._head(pool, floor))
        return 0.0 if head is None else min(max(0.0, head.age_s), AGE_S)

    def _head(self, pool: str, floor: dt.datetime | None) -> _Head | None:
        with database.alone(self._engine) as connection:
            row = connection.execute(_HEAD, {"pool": pool, "floor": floor}).first()
        return None if row is None else _Head(_age_s(row), floors.before(start(row), row.seen_at))


def own_s(kind: Kind, priority: Priority) -> float:
    """How far behind its start a job stands for what it is, in seconds; negative for one in front."""
    return kind.offset_s + PRIORITY_OFFSET_S[priority]


def start(row: Any) -> dt.datetime:
    """That of a job: its class and priority put it where it is, but are nobody else's."""
    before: dt.datetime = row.fair_at - dt.timedelta(seconds=own_s(kinds.find(row.kind), Priority(row.priority)))
    return before


def _age_s(row: Any) -> float:
    return float((row.seen_at - start(row)).total_seconds())


def _key(tenant_id: uuid.UUID, pool: str) -> str:
    return f"{KEY_PREFIX}fair:{pool}:{tenant_id.hex}"
