"""Turns to predict: so many at once that each is about as fast as alone.

A thread that waits costs nothing, one that runs holds up all others (the GIL). So whoever must be refused is refused
slowly: clients that ask again at once, whatever they are told, are then no load.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable

from prometheus_client import Gauge

from core import errors
from core.setting_groups import MOST_KEPT

#: For so long a request waits for its turn, or for as long as so many turns take of late, if that is longer; but not
#: forever. Whoever has none by then shows that there are too many.
TURN_S, TURNS, LONGEST_S = 0.02, 2, 10.0
#: So much longer it waits in a rush, which is over soon: the line was empty so lately, and nobody was refused for so
#: long (after Maurer, "Fail at Scale", ACM Queue 13:8, 2015).
RUSH_S, LATELY_S, CALM_S = 1.0, 0.1, 2.0
#: For so long a request that is to be refused is kept; while there are any, others that find no turn are as well.
REFUSAL_S = 0.5
#: The longest time after which it is said to try again.
MOST_S = 30.0


class _Waiting:
    """One in line."""

    def __init__(self, tenant: int) -> None:
        self.tenant, self.called, self.patience_s = tenant, threading.Event(), 0.0


class Turns:
    """Turns for `total` at once, of which one tenant has at most its `part` (but always one). They are given by order
    of arrival, but for a moment only: then there are too many. Safe to use from any thread."""

    def __init__(self, total: int, part: float, taken: Gauge, kept: Gauge) -> None:
        self._total, self.per_tenant = total, max(1, int(total * part))
        self.taken = 0
        self._by_tenant: Counter[int] = Counter()
        self._line: list[_Waiting] = []
        self._refused = 0  #: those that are kept before they are told
        self._took_s = 0.0  #: what a turn takes, on average of late
        self._empty_at = self._refused_at = -math.inf  #: when the line was last empty, and somebody last refused
        self._lock = threading.Lock()
        taken.set_function(lambda: self.taken)
        kept.set_function(lambda: self.kept)

    @property
    def kept(self) -> int:
        return len(self._line) + self._refused

    def take(self, tenant_id: uuid.UUID) -> Callable[[], None]:
        """Take a turn, perhaps after a moment, and return what ends it, which may be called twice; raises Busy."""
        mine = _Waiting(tenant_id.int)
        with self._lock:
            if self._has_room(mine.tenant):
                self._call(mine)
            elif self.kept >= MOST_KEPT:
                raise self._busy()
            elif self._refused:
                self._refused += 1
            else:
                mine.patience_s = self._patience_s(time.monotonic())
                self._line.append(mine)
            waits = mine in self._line
        if waits:
            self._wait(mine)
        if not mine.called.is_set():
            raise self._refusal()
        held = [(mine.tenant, time.monotonic())]
        return lambda: self._end(held)

    def _patience_s(self, now: float) -> float:
        """How long one waits who comes now."""
        if not self._line:
            self._empty_at = now
        rush = now - self._empty_at < LATELY_S and now - self._refused_at > CALM_S
        return min(LONGEST_S, max(TURN_S, TURNS * self._took_s, RUSH_S if rush else 0.0))

    def _wait(self, mine: _Waiting) -> None:
        """Until it is called, or waited for long enough."""
        mine.called.wait(mine.patience_s)
        with self._lock:
            if mine in self._line:
                self._line.remove(mine)
                self._refused += 1

    def _refusal(self) -> errors.Busy:
        """Takes its time."""
        time.sleep(REFUSAL_S)
        with self._lock:
            busy = self._busy()
            self._refused -= 1
            self._refused_at = time.monotonic()
        return busy

    def _busy(self) -> errors.Busy:
        """It says when all that are kept here could have had a turn."""
        return errors.Busy(
            f"{self._total} predictions are being made already, and more wait; try again, or hand it in as a job: say "
            "`Prefer: respond-async`, or POST /api/v1/jobs",
            retry_after_s=min(MOST_S, max(1.0, self.kept * self._took_s / self._total)),
        )

    def _has_room(self, tenant: int) -> bool:
        return self.taken < self._total and self._by_tenant[tenant] < self.per_tenant

    def _call(self, waiting: _Waiting) -> None:
        self.taken += 1
        self._by_tenant[waiting.tenant] += 1
        waiting.called.set()

    def _end(self, held: list[tuple[int, float]]) -> None:
        """Empties `held`, so that it ends once, and calls the first in line for whom there is room now."""
        with self._lock:
            if not held:
                return
            tenant, began = held.pop()
            self._took_s += (time.monotonic() - began - self._took_s) / 16
            self.taken -= 1
            self._by_tenant[tenant] -= 1
            if not self._by_tenant[tenant]:
                del self._by_tenant[tenant]
            for waiting in self._line:
                if self._has_room(waiting.tenant):
                    self._line.remove(waiting)
                    self._call(waiting)
                    break
