"""Answers that are good for a moment, so that asking often costs no more than asking once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from core import errors

T = TypeVar("T")

#: How long the last value stands in for one that is being made, and how long the first is waited for.
STALE_S = 5.0


class Cached(Generic[T]):
    """A value that is made at most once in `for_s` seconds, by one thread; the others get the last one meanwhile, and
    wait only for the first. What is older than STALE_S more is no answer."""

    def __init__(self, make: Callable[[], T], for_s: float) -> None:
        self._make, self._for_s = make, for_s
        self._making = threading.Lock()
        self._made: tuple[float, T] | None = None

    def get(self) -> T:
        """Raises what making raises, to the one that makes, and Unavailable to the others when it takes too long."""
        made, now = self._made, time.monotonic()
        if made is not None and made[0] > now:
            return made[1]
        if made is not None and made[0] + STALE_S > now:
            if not self._making.acquire(blocking=False):
                return made[1]
        elif not self._making.acquire(timeout=STALE_S):
            raise errors.Unavailable("What this is made of does not answer at the moment; try again")
        try:
            newer = self._made
            if newer is not None and newer is not made:
                return newer[1]
            value = self._make()
            self._made = (time.monotonic() + self._for_s, value)
            return value
        finally:
            self._making.release()
