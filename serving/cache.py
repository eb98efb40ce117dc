"""Answers that are kept in this process, and which jobs are to give some, by what they are answers to."""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from core import metrics
from inference.output import Said

#: What an answer takes beside its own bytes: its key, and its places in here.
BESIDE = 400


@dataclass(frozen=True, slots=True)
class Coming:
    """The job that gives an answer."""

    job_id: uuid.UUID


T = TypeVar("T", bound=Said | Coming)


class _Kept(NamedTuple):
    """An answer, taken apart: to write its class as well would take three times as long."""

    form: type[Any]
    values: bytes
    until: float

    @property
    def size(self) -> int:
        return len(self.values) + BESIDE

    def read(self) -> Any:
        return self.form(*pickle.loads(self.values))  # noqa: S301 - written by this very process


class Cache:
    """As many answers as fit into so many bytes, those asked for last, each for so long; may be shared by threads.

    They are kept as bytes: so their size is known, and nobody can change one.
    """

    def __init__(self, most: int, for_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.most, self.for_s, self._now = most, for_s, now
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        #: Of each that is being made, who waits for it.
        self._coming: dict[bytes, list[Future[_Kept | None]]] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are taken."""
        return self._size

    def get(self, key: bytes) -> Said | None:
        """What is kept, if it is good."""
        with self._lock:
            found = self._find(key)
        said: Said | None = None if found is None else found.read()
        return said

    def put(self, key: bytes, said: Said | Coming) -> None:
        """Keep it, if it fits at all."""
        written = self._written(said)
        with self._lock:
            self._put(key, written)

    def forget(self, key: bytes, said: Said | Coming) -> None:
        """Keep it no more, if it is still this that is kept."""
        with self._lock:
            if key in self._kept and self._kept[key].read() == said:
                self._drop(key)

    def once(self, key: bytes, make: Callable[[], T]) -> tuple[T, bool]:
        """What is kept, or what `make` gives, and whether somebody had made it. Who asks for what is being made waits
        for it; if that fails, each makes its own."""
        mine: Future[_Kept | None] | None = None
        with self._lock:
            found = self._find(key)
            if found is None and key in self._coming:
                mine = Future()
                self._coming[key].append(mine)
            elif found is None:
                self._coming[key] = []
        if found is None and mine is None:
            return self._first(key, make), False
        kept = found if mine is None else mine.result()
        if kept is not None:
            return kept.read(), True
        made = make()
        self.put(key, made)
        return made, False

    def _first(self, key: bytes, make: Callable[[], T]) -> T:
        """What it gives, for all who wait; for these None if it fails, whatever it is that fails."""
        written = None
        try:
            said = make()
            written = self._written(said)
            return said
        finally:
            with self._lock:
                if written is not None:
                    self._put(key, written)
                waiting = self._coming.pop(key)
            for one in waiting:
                one.set_result(written)

    def _written(self, said: Said | Coming) -> _Kept:
        values = pickle.dumps([getattr(said, name) for name in said.__slots__])
        return _Kept(type(said), values, self._now() + self.for_s)

    def _find(self, key: bytes) -> _Kept | None:
        found = self._kept.get(key)
        if found is None:
            return None
        if found.until <= self._now():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found

    def _put(self, key: bytes, written: _Kept) -> None:
        size = written.size
        if size > self.most:
            return
        if key in self._kept:
            self._drop(key)
        while self._size + size > self.most:
            self._drop(next(iter(self._kept)))
            metrics.CACHE_EVICTIONS.inc()
        self._kept[key] = written
        self._size += size
        metrics.CACHE_BYTES.set(self._size)

    def _drop(self, key: bytes) -> None:
        self._size -= self._kept.pop(key).size
        metrics.CACHE_BYTES.set(self._size)
