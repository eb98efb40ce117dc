"""What one process has claimed: what waits for a place, and what is being called."""

from __future__ import annotations

import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable

from webhooks.outbox import Claimed

#: Calls to one target at once, by one process, and the part of all places that one tenant may have.
CALLS_PER_TARGET = 4
PART_PER_TENANT = 0.25
MOST_PROVEN = 10_000


class Slots:
    """Hands out deliveries so that no target has more than CALLS_PER_TARGET calls (one, until it has taken one), no
    tenant more than its part, and all no more than `places`; who has the fewest goes first. Safe to use from any
    thread."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._per_tenant = max(CALLS_PER_TARGET, int(places * PART_PER_TENANT))
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Claimed]] = {}
        self._calls: Counter[str] = Counter()
        self._tenants: Counter[uuid.UUID] = Counter()
        #: Those that took their last call. Of any other one call at a time has to be enough: it may never be answered.
        self._proven: set[str] = set()
        self._out = 0

    @property
    def waiting(self) -> int:
        with self._lock:
            return sum(map(len, self._waiting.values()))

    @property
    def idle(self) -> bool:
        """Whether nothing waits, and of everything that was begun it is known what came of it."""
        with self._lock:
            return not self._waiting and not self._out

    def put(self, deliveries: Iterable[Claimed]) -> None:
        with self._lock:
            for delivery in deliveries:
                self._waiting.setdefault(delivery.target, deque()).append(delivery)

    def begin(self) -> list[Claimed]:
        """Those that there is a place for, which is theirs now."""
        begun: list[Claimed] = []
        with self._lock:
            while self._calls.total() < self._places and (target := self._next()) is not None:
                delivery = self._waiting[target].popleft()
                if not self._waiting[target]:
                    del self._waiting[target]
                self._calls[target] += 1
                self._tenants[delivery.tenant_id] += 1
                begun.append(delivery)
            self._out += len(begun)
        return begun

    def _next(self) -> str | None:
        """The target whose turn it is: of the tenant with the fewest calls, the one that has waited longest."""
        free = [
            (self._tenants[waiting[0].tenant_id], waiting[0].claimed_at, target)
            for target, waiting in self._waiting.items()
            if self._calls[target] < (CALLS_PER_TARGET if target in self._proven else 1)
            and self._tenants[waiting[0].tenant_id] < self._per_tenant
        ]
        return min(free)[2] if free else None

    def end(self, delivery: Claimed, *, delivered: bool) -> None:
        """Its place is free."""
        with self._lock:
            if len(self._proven) >= MOST_PROVEN:
                self._proven.clear()
            (self._proven.add if delivered else self._proven.discard)(delivery.target)
            self._calls[delivery.target] -= 1
            self._tenants[delivery.tenant_id] -= 1
            # Those that are at zero are not kept.
            self._calls, self._tenants = +self._calls, +self._tenants

    def known(self, count: int) -> None:
        """What came of so many has arrived."""
        with self._lock:
            self._out -= count

    def withdraw(self, unwanted: Callable[[Claimed], bool]) -> list[Claimed]:
        """Take out what waits and should not."""
        with self._lock:
            found = [item for waiting in self._waiting.values() for item in waiting if unwanted(item)]
            gone = {item.id for item in found}
            for target in {item.target for item in found}:
                left = deque(item for item in self._waiting.pop(target) if item.id not in gone)
                if left:
                    self._waiting[target] = left
        return found
