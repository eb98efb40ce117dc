"""Answers that are kept in this process, by what they are answers to."""

from __future__ import annotations

import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

from core import metrics
from inference.output import Said

#: What an answer takes beside its own bytes: its key, and its places in here.
BESIDE = 400


@dataclass(frozen=True, slots=True)
class _Kept:
    written: bytes
    until: float


class Cache:
    """As many answers as fit into so many bytes, those asked for last, each for so long; may be shared by threads.

    They are kept as bytes: so their size is known, and nobody can change one.
    """

    def __init__(self, most: int, for_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.most, self.for_s, self._now = most, for_s, now
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._coming: dict[bytes, Future[bytes]] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are taken."""
        return self._size

    def get(self, key: bytes) -> Said | None:
        """What is kept, if it is good."""
        with self._lock:
            found = self._find(key)
        return None if found is None else _read(found)

    def put(self, key: bytes, said: Said) -> None:
        """Keep it, if it fits at all."""
        self._put(key, pickle.dumps(said))

    def once(self, key: bytes, make: Callable[[], Said]) -> tuple[Said, bool]:
        """What is kept, or what `make` gives, and whether somebody had made it. Who asks for what is being made waits
        for it; if that fails, each makes its own."""
        if (kept := self.get(key)) is not None:
            return kept, True
        mine: Future[bytes] = Future()
        with self._lock:
            # It may have come since.
            found = self._find(key)
            coming = mine if found is not None else self._coming.setdefault(key, mine)
        if found is not None:
            return _read(found), True
        if coming is mine:
            return self._first(key, mine, make), False
        try:
            return _read(coming.result()), True
        except CancelledError:
            said = make()
            self.put(key, said)
            return said, False

    def _first(self, key: bytes, mine: Future[bytes], make: Callable[[], Said]) -> Said:
        try:
            said = make()
            written = pickle.dumps(said)
            self._put(key, written)
            mine.set_result(written)
            return said
        finally:
            # Nothing, where it has a result.
            mine.cancel()
            with self._lock:
                del self._coming[key]

    def _find(self, key: bytes) -> bytes | None:
        found = self._kept.get(key)
        if found is None:
            return None
        if found.until <= self._now():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found.written

    def _put(self, key: bytes, written: bytes) -> None:
        size = len(written) + BESIDE
        if size > self.most:
            return
        with self._lock:
            if key in self._kept:
                self._drop(key)
            while self._size + size > self.most:
                self._drop(next(iter(self._kept)))
                metrics.CACHE_EVICTIONS.inc()
            self._kept[key] = _Kept(written, self._now() + self.for_s)
            self._hold(size)

    def _drop(self, key: bytes) -> None:
        self._hold(-len(self._kept.pop(key).written) - BESIDE)

    def _hold(self, more: int) -> None:
        self._size += more
        metrics.CACHE_BYTES.set(self._size)


def _read(written: bytes) -> Said:
    found: Said = pickle.loads(written)  # noqa: S301 - written by this very process
    return found
