"""`fair_at`: start-time fair queueing in wall-clock time.

A tenant's jobs are spaced by its tier's pace, so that a flood of one stands behind the first job of another. It
orders; it
does not delay: an idle pool takes whatever is there. (P. Goyal, H. M. Vin, H. Cheng, "Start-time fair queuing", 1996.)
"""

from __future__ import annotations

import uuid

from core.broker import KEY_PREFIX, Line
from jobs.job import CLASS_OFFSET_S, PRIORITY_OFFSET_S, Kind, Priority

#: However much a tenant hands in at once, its next job stands no further back than this.
MAX_LEAD_S = 300.0

# start = max(now, last); last = start + cost / pace. On Redis's own clock, answered as a distance from now.
_NEXT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local start = math.min(math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')), now + ARGV[2])
local last = string.format('%.6f', start + ARGV[1])
redis.call('SET', KEYS[1], last, 'PX', math.ceil((start + ARGV[1] - now) * 1000) + 1000)
return string.format('%.6f', start - now)
"""


class Fairness:
    """Where the next job of a tenant stands; without Redis it is simply now."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._next = line.redis.register_script(_NEXT)

    def offset_s(
        self, tenant_id: uuid.UUID, pool: str, *, cost: float, pace: float, kind: Kind, priority: Priority
    ) -> float:
        """Seconds from now to the job's `fair_at`: the tenant's lead, its class and its priority."""
        key = f"{KEY_PREFIX}fair:{pool}:{tenant_id.hex}"
        lead = self._line.call(lambda: float(self._next(keys=[key], args=[cost / pace, MAX_LEAD_S])), 0.0)
        return lead + CLASS_OFFSET_S[kind] + PRIORITY_OFFSET_S[priority]
