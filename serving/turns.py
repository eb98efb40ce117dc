"""Turns to predict: as many as come, until they come faster than they are answered; then so few that each is about as
fast as alone, and the others wait for theirs; and are refused where that would take long.

A thread that waits costs nothing, one that runs holds up all others (the GIL). So whoever must be refused is refused
slowly: clients that ask again at once, whatever they are told, are then no load.
"""

from __future__ import annotations

import math
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable

from prometheus_client import Gauge

from core import errors
from core.setting_groups import AT_EASE, MOST_KEPT

#: It is too much when for so long the oldest in line had waited for longer than this, or for as long as so many turns
#: take of late (after Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 10:5, 2012) ...
LATELY_S, WAIT_S, TURNS = 0.1, 0.02, 6
#: ... and for so long after somebody was refused. So long, too, a part is kept for others after one of them asked.
CALM_S = 10.0
#: Refused is who has waited for longer than this, or than so many turns take, when for LATELY_S others had as well.
LATE_S = 0.25
#: For so long one waits at ease, or for as long as a turn takes of late, but not forever.
PATIENCE_S, LONGEST_S = 1.0, 10.0
#: For so long a request that is to be refused is kept, on average: those of one moment would come back in one.
#: While there are any, others that find no turn are as well.
REFUSAL_S = 0.5
#: The longest time after which it is said to try again.
MOST_S = 30.0


class _Waiting:
    """One in line."""

    def __init__(self, tenant: int) -> None:
        self.tenant, self.called, self.since = tenant, threading.Event(), time.monotonic()


class Turns:
    """Turns for `total` at once when there is too much to do, and else for AT_EASE if that is more, of which one tenant
    has at most its `part` (but always one, and all where there is too much to do for that tenant alone). They are given
    by order of arrival. Safe to use from any thread."""

    def __init__(self, total: int, part: float, taken: Gauge, kept: Gauge) -> None:
        self._total, self._part = total, part
        self.taken = 0
        self._by_tenant: Counter[int] = Counter()
        self._line: list[_Waiting] = []
        self._refused = 0  #: those that are kept before they are told
        self._took_s = 0.0  #: what a turn takes, or would where there are `total`, on average of late
        self._slow_since, self._late_since, self._refused_at = math.inf, math.inf, -math.inf
        self._last: int | None = None  #: the tenant that asked last
        self._others_at = -math.inf  #: when another one did than before
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
            if self._last not in (None, mine.tenant):
                self._others_at = mine.since
            self._last = mine.tenant
            if self._line:
                self._call(mine.since)
            if self._has_room(mine.tenant, mine.since):
                self._begin(mine)
            elif self.kept >= MOST_KEPT:
                raise self._busy()
            elif self._refused:
                self._refused += 1
            else:
                self._line.append(mine)
        if not mine.called.is_set():
            self._wait(mine)
        held = [(mine.tenant, time.monotonic())]
        return lambda: self._end(held)

    def _wait(self, mine: _Waiting) -> None:
        """Until it is called; raises Busy, where there is too much to do, or after too long a time."""
        while not mine.called.is_set():
            with self._lock:
                now = time.monotonic()
                if mine not in self._line and not mine.called.is_set():
                    break
                too_long = now - mine.since > min(LONGEST_S, max(PATIENCE_S, self._took_s))
                if not mine.called.is_set() and (too_long or self._waits_in_vain(mine, now)):
                    self._line.remove(mine)
                    self._refused += 1
                    self._refused_at = now
                    break
            mine.called.wait(LATE_S)
        if not mine.called.is_set():
            raise self._refusal()

    def _waits_in_vain(self, mine: _Waiting, now: float) -> bool:
        return now - mine.since > self._usual_s(LATE_S) and now - self._late_since > LATELY_S

    def _usual_s(self, least_s: float) -> float:
        return max(least_s, TURNS * self._took_s)

    def _is_too_much(self, now: float) -> bool:
        return now - self._slow_since > LATELY_S or now - self._refused_at < CALM_S

    def _refusal(self) -> errors.Busy:
        """Takes its time."""
        time.sleep(random.uniform(0.5, 1.5) * REFUSAL_S)  # noqa: S311 - no secret
        with self._lock:
            busy = self._busy()
            self._refused -= 1
            self._refused_at = time.monotonic()
        return busy

    def _busy(self) -> errors.Busy:
        """It says when all that are kept here could have had a turn."""
        return errors.Busy(
            f"{self.taken} predictions are being made already, and more wait; try again, or hand it in as a job: say "
            "`Prefer: respond-async`, or POST /api/jobs",
            retry_after_s=min(MOST_S, max(1.0, self.kept * self._took_s / self._total)),
        )

    def _has_room(self, tenant: int, now: float) -> bool:
        too_much = self._is_too_much(now)
        most = self._total if too_much else max(self._total, AT_EASE)
        alone = too_much and now - self._others_at > CALM_S
        each = most if alone else max(1, int(most * self._part))
        if self._by_tenant[tenant] >= each:
            return False
        # What a tenant has from before, when there were more turns, is not in the way of others.
        return self.taken < most or sum(min(count, each) for count in self._by_tenant.values()) < most

    def _begin(self, waiting: _Waiting) -> None:
        self.taken += 1
        self._by_tenant[waiting.tenant] += 1
        waiting.called.set()

    def _end(self, held: list[tuple[int, float]]) -> None:
        """Empties `held`, so that it ends once."""
        with self._lock:
            if not held:
                return
            tenant, began = held.pop()
            now = time.monotonic()
            self._took_s += ((now - began) * min(1.0, self._total / self.taken) - self._took_s) / 16
            self.taken -= 1
            self._by_tenant[tenant] -= 1
            if not self._by_tenant[tenant]:
                del self._by_tenant[tenant]
            if self._line:
                self._call(now)

    def _call(self, now: float) -> None:
        """Call those in line for whom there is room now, the oldest first."""
        waited_s = now - self._line[0].since
        self._slow_since = min(self._slow_since, now) if waited_s > self._usual_s(WAIT_S) else math.inf
        self._late_since = min(self._late_since, now) if waited_s > self._usual_s(LATE_S) else math.inf
        for waiting in [*self._line]:
            if self._has_room(waiting.tenant, now):
                self._line.remove(waiting)
                self._begin(waiting)
        if not self._line:
            self._slow_since = self._late_since = math.inf
