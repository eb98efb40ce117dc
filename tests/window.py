"""Celery's own picture of the events that we send, as Flower has it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from celery.events.state import State, Task

from core import broker, ids
from core.board import Board
from core.settings import Settings

Until = Callable[[Callable[[], object]], Any]


class Window:
    """What a Flower knows that was there from the beginning."""

    def __init__(self, until: Until) -> None:
        self._until = until
        self.state: Any = State()
        self.said: list[dict[str, Any]] = []

    def hear(self, event: dict[str, Any]) -> None:
        self.said.append(dict(event))
        self.state.event(event)

    def task(self, job: UUID) -> Task:
        return self._until(lambda: self.state.tasks.get(ids.job_id(job)))

    def shows(self, job: UUID, state: str) -> Task:
        self._until(lambda: self.task(job).state == state)
        return self.task(job)


@contextlib.contextmanager
def opened(settings: Settings, until: Until) -> Iterator[Window]:
    """One that hears everything from now on."""
    app, found = broker.producer(settings.queue.redis_url), Window(until)
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": found.hear})

        def listen() -> None:
            # In one go: what is said between two is heard by nobody.
            for _ in receiver.consume(limit=None, timeout=None, safety_interval=0.2, wakeup=False):
                pass

        thread = threading.Thread(target=listen)
        thread.start()
        probe = Board(settings.queue.redis_url)

        def heard() -> bool:
            probe.show([{"type": "worker-online", "hostname": "probe", "timestamp": time.time()}])
            probe.flush()
            return bool(found.said)

        until(heard)
        yield found
        receiver.should_stop = True
        thread.join()
