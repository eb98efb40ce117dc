"""Between who answers and the table of copies: to hand something in is to append it, and what finds no room is dropped
and counted. A thread, which begins with the first of them, stores what is there twice a second."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import sqlalchemy
import structlog
from sqlalchemy import exc

from core import broker, database, metrics
from jobs.shadows import copies
from jobs.shadows.answer import Brief
from jobs.shadows.copies import Copy
from registry.versions import Mirror

#: So many are kept in memory at most: a comparison is whole in minutes, and to store one costs a part of a prediction.
ROOM = 100
#: How long they are.
EVERY_S = 0.5

log = structlog.get_logger()


class Buffer:
    """One process's; may be shared by threads."""

    def __init__(self, engine: sqlalchemy.Engine, hints: broker.Hints) -> None:
        self._engine = engine
        self._hints = hints
        self._waiting: deque[Copy] = deque()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def offer(
        self,
        mirrors: Sequence[Mirror],
        asked: tuple[str, str, str],
        rows: Sequence[Any],
        said: Sequence[object],
        *,
        ms: float | None = None,
    ) -> None:
        """What was asked (model, version, request id), with an answer to each row; `ms` is how long it took, where it
        was one row alone."""
        if not mirrors:
            return
        model, stable_version, request_id = asked
        for place, (row, answer) in enumerate(zip(rows, said, strict=True)):
            if (brief := Brief.of(answer, ms)) is None:
                continue
            for to in mirrors:
                self._add(Copy(to.pool, model, to.name, to.version, stable_version, request_id, place, row, brief))
        self._start()

    def _add(self, copy: Copy) -> None:
        # Threads that look at the same moment may each add one more.
        if len(self._waiting) >= ROOM:
            metrics.SHADOWS.labels(copy.model, "dropped_no_room").inc()
        else:
            self._waiting.append(copy)

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="shadows", daemon=True)
                with contextlib.suppress(RuntimeError):  # there may be no thread more: the next answer tries again
                    thread.start()
                    self._thread = thread

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_S)
            self.store()

    def store(self) -> None:
        """Put what is there where workers find it."""
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not taken:
            return
        try:
            stored, otherwise = copies.put(self._engine, taken), "dropped_backlog"
        except (exc.DBAPIError, *database.OUTAGES) as error:
            log.warning("shadows_not_stored", copies=len(taken), error=type(error).__name__)
            stored, otherwise = {}, "dropped_not_stored"
        for model, count in Counter(item.model for item in taken).items():
            if left := count - stored.get(model, 0):
                metrics.SHADOWS.labels(model, otherwise).inc(left)
        for pool in {item.pool for item in taken} if stored else ():
            self._hints.send(pool)
