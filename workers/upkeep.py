"""Who does the chores of all rooms: each on its own time and in a thread of its own, so that one that fails or takes
long is in no other's way."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy
import structlog

from core import chores, database, errors, metrics
from core.chores import Chore
from workers.ticks import TICK_S, Pace

log = structlog.get_logger()


class Upkeep:
    """The chores of one process."""

    def __init__(self, engine: sqlalchemy.Engine, todo: Sequence[Chore], *, asked_to_stop: Callable[[], bool]) -> None:
        self._engine = engine
        self._asked_to_stop = asked_to_stop
        self._names = [chore.name for chore in todo]
        self._told = False
        # A tick may come a little early.
        self._todo = [(chore, Pace(chore.every_s - TICK_S / 2), threading.Lock()) for chore in todo]
        self._threads = ThreadPoolExecutor(len(todo), "chore")

    def tick(self) -> list[str]:
        """Begin what is due, but for what is being done still; returns their names."""
        with contextlib.suppress(*database.OUTAGES):
            if not self._told:
                chores.begun(self._engine, [chore for chore, _, _ in self._todo])
                self._told = True
        return list(self._begun())

    def close(self) -> None:
        """Wait for what is being done; nothing is begun afterwards."""
        self._threads.shutdown()

    def _begun(self) -> Iterator[str]:
        for chore, pace, alone in self._todo:
            if not alone.locked() and pace.begin():
                self._threads.submit(self._do, chore, alone)
                yield chore.name

    def _do(self, chore: Chore, alone: threading.Lock) -> None:
        with alone:
            try:
                count = self._done(chore)
                chores.done(self._engine, chore, self._names)
            except (*database.OUTAGES, errors.Unavailable) as error:
                log.warning("chore_put_off", chore=chore.name, error=str(error).partition("\n")[0][:200])
            except Exception:
                # Nobody waits for it, so nobody else would say it. It is tried again at its next turn.
                log.exception("chore_failed", chore=chore.name)
            else:
                metrics.CHORES.labels(chore.name, "done").inc()
                if count:
                    log.info("chore_done", chore=chore.name, count=count)
                return
            metrics.CHORES.labels(chore.name, "failed").inc()

    def _done(self, chore: Chore) -> int:
        """A step; and as long as there is more to do, others for half of the time: more may come than one can do. Who
        is to stop leaves them to others."""
        ends_at, count = time.monotonic() + chore.every_s / 2, 0
        while True:
            done = chore.run()
            count += done
            if chore.step is None or done < chore.step or time.monotonic() >= ends_at or self._asked_to_stop():
                return count
