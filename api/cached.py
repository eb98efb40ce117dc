"""Answers that are good for a moment, so that asking often costs no more than asking once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """A value that is made at most once in `for_s` seconds, by one thread; the others get the last one meanwhile, and
    wait only for the first."""

    def __init__(self, make: Callable[[], T], for_s: float) -> None:
        self._make, self._for_s = make, for_s
        self._making = threading.Lock()
        self._made: tuple[float, T] | None = None

    def get(self) -> T:
        """Raises what making raises, to the one that makes."""
        made = self._made
        if made is not None and made[0] > time.monotonic():
            return made[1]
        if made is None:
            self._making.acquire()
        elif not self._making.acquire(blocking=False):
            return made[1]
        try:
            newer = self._made
            if newer is not None and newer is not made:
                return newer[1]
            value = self._make()
            self._made = (time.monotonic() + self._for_s, value)
            return value
        finally:
            self._making.release()
