"""What one process has claimed: what waits for a place, and what is being called."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable

from webhooks.outbox import Claimed

#: Calls to one target at once, by one process.
PER_TARGET = 4


class Desk:
    """Hands out deliveries so that no target has more than PER_TARGET calls, and all have no more than `places`; safe
    to use from any thread."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Claimed]] = {}
        self._calls: Counter[str] = Counter()
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
            busy = self._calls.total()
            for target in list(self._waiting):
                waiting = self._waiting[target]
                while waiting and self._calls[target] < PER_TARGET and busy < self._places:
                    begun.append(waiting.popleft())
                    self._calls[target] += 1
                    busy += 1
                if not waiting:
                    del self._waiting[target]
                if busy == self._places:
                    break
            self._out += len(begun)
        return begun

    def end(self, delivery: Claimed) -> None:
        """Its place is free."""
        with self._lock:
            self._calls[delivery.target] -= 1
            if not self._calls[delivery.target]:
                del self._calls[delivery.target]

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
