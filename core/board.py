"""Flower, to which jobs are shown as if each were a Celery task. It is a window, not the books: what cannot be shown at
once is dropped, and no job waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from celery.events.event import get_exchange

from core import broker, metrics

FLUSH_S = 0.5
#: So many jobs of one process are shown as begun at a time; more is more than Flower can read, beside the work.
MOST = 100

Event = dict[str, Any]


class Board:
    """Events of one process on their way to whoever listens, all of a moment in one message."""

    def __init__(self, redis_url: str) -> None:
        self._app = broker.producer(redis_url)
        self._line = broker.Line(redis_url)
        self._waiting: deque[Event] = deque()
        self._room = MOST

    def start(self) -> None:
        """Send what is shown from a thread of its own."""
        threading.Thread(target=self._always, name="board", daemon=True).start()

    def room(self, wanted: int) -> int:
        """How many of so many jobs may be shown now. What is shown as begun is to be shown to its end."""
        granted = min(wanted, self._room)
        self._room -= granted
        metrics.UNSHOWN.inc(wanted - granted)
        return granted

    def show(self, events: Sequence[Event]) -> None:
        """These, soon; waits for nothing."""
        self._waiting.extend(events)

    def flush(self) -> None:
        """Send what waits, or drop it while Redis is away."""
        together = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._room = MOST
        if together:
            self._line.call(lambda: self._send(together), None)

    def _send(self, events: Sequence[Event]) -> None:
        with self._app.producer_pool.acquire(block=True, timeout=1) as producer:
            exchange = get_exchange(producer.connection)
            producer.publish(
                events,
                exchange=exchange.name,
                routing_key="task.multi",
                declare=[exchange],
                serializer="json",
                delivery_mode=1,
                retry=False,
            )

    def _always(self) -> None:
        while True:
            time.sleep(FLUSH_S)
            self.flush()
