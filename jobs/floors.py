"""Where a look at a queue may begin, while looking at all of it takes long.

A session that holds an old snapshot keeps the index entries of all jobs that have left the queue since, and whoever
looks from the beginning walks over each of them. Where that took long, it is done a tenth of the time, and in between a
look begins where the head was last: what stands before that (tried again, of a tenant that was at its limit, or new
while such jobs are the head) waits for the next look at all: LATEST_S at most, and AGAIN_S where nothing else is found.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from jobs.job import PRIORITY_OFFSET_S

#: A look at all of a pool that takes longer than this is done less often: this share of the time, no sooner than
#: AGAIN_S after the last one, and no later than LATEST_S: what made it slow may be over, a lock or an outage.
SLOW_S, SHARE, AGAIN_S, LATEST_S = 0.02, 0.1, 2.0, 10.0
#: So far before the head, and what it is, somebody may stand who comes new: for its priority, and for what a process
#: has seen of the head a moment ago.
_NEWCOMERS = dt.timedelta(seconds=1 - min(PRIORITY_OFFSET_S.values()))


class Seen(Protocol):
    """What was found; `floor` is before where nobody stands who comes after it and finds it at the head."""

    @property
    def floor(self) -> dt.datetime: ...


S = TypeVar("S", bound=Seen)


def before(start: dt.datetime, now: dt.datetime) -> dt.datetime:
    """The floor of a head with this start."""
    return min(start, now) - _NEWCOMERS


@dataclass
class _Found:
    """Where the head of a pool stood, until when no other place is looked at, and from when on it is where there is
    nothing."""

    floor: dt.datetime
    until: float
    idle_at: float


class Floors:
    """What one process knows of the heads of pools."""

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}

    def look(self, pool: str, find: Callable[[dt.datetime | None], S | None], *, ahead: bool = False) -> S | None:
        """What `find` finds behind the floor that it is given, or in all of the pool where that is None; a look ahead
        that finds nothing says no more than that."""
        began, found = time.monotonic(), self._found.get(pool)
        if found and began < found.until:
            seen = find(found.floor)
            if seen or ahead or began < found.idle_at:
                found.floor = max(found.floor, seen.floor) if seen else found.floor
                return seen
            began = time.monotonic()
        seen = find(None)
        self._looked(pool, seen, time.monotonic() - began)
        return seen

    def _looked(self, pool: str, seen: Seen | None, took_s: float) -> None:
        """A look at all of a pool took so long."""
        last = self._found.pop(pool, None)
        floor = seen.floor if seen else last and last.floor
        if took_s > SLOW_S and floor:
            now = time.monotonic()
            until = now + max(AGAIN_S, min(took_s / SHARE, LATEST_S))
            self._found[pool] = _Found(floor, until, idle_at=now + AGAIN_S)
