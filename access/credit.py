"""What went well at the express lane, which counts for who makes errors elsewhere: told by way of Redis, which may
forget it."""

from __future__ import annotations

import threading
from collections import Counter

from core.broker import KEY_PREFIX, Line

#: For so long it is kept for who makes no errors.
KEPT_S = 600
_KEY = f"{KEY_PREFIX}well:"


class Credit:
    """Requests that went well, by whose they were; safe to use from any thread."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._new: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, subject: str) -> None:
        with self._lock:
            self._new[subject] += 1

    def tell(self) -> None:
        """What is new, to all processes; whatever Redis does not take is lost."""
        with self._lock:
            new, self._new = self._new, Counter()
        if new:
            self._line.call(lambda: self._tell(new), None)

    def _tell(self, new: Counter[str]) -> None:
        with self._line.redis.pipeline(transaction=False) as pipeline:
            for subject, count in new.items():
                pipeline.incrby(_KEY + subject, count)
                pipeline.expire(_KEY + subject, KEPT_S)
            pipeline.execute()

    def take(self, subject: str) -> int:
        """How many there were since this was asked last."""
        return int(self._line.call(lambda: self._line.redis.getdel(_KEY + subject), None) or 0)
