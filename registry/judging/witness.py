"""What one process sees of canaries and of what they are compared with, on its way to the trials: nothing waits for it.

Whoever is killed takes along what was seen in the last half second, of both sides alike.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy
import structlog

from core import database, errors
from core.clock import Clock
from registry.catalog import Catalog
from registry.judging import judge
from registry.judging.trial import STABLE, Seen
from registry.routes import Unit

log = structlog.get_logger()

FLUSH_S = 0.5
#: So many are kept while the database is away; of more, the oldest are dropped.
MOST = 10_000
OUTAGES = (*database.OUTAGES, errors.Unavailable)


@dataclass(frozen=True)
class Sight:
    """A request that a model answered, or failed to: by which route, when it was asked, for how long the model ran,
    where such times can be compared, and the code of its error."""

    model: str
    route: str
    unit: Unit
    asked: float | dt.datetime  #: by `perf_counter` of this process, or by the database
    run_s: float | None = None
    code: str | None = None


class Witness:
    """One process's; may be shared by threads."""

    def __init__(self, engine: sqlalchemy.Engine, catalog: Catalog, clock: Clock) -> None:
        self._engine = engine
        self._catalog = catalog
        self._clock = clock
        self._sights: deque[Sight] = deque(maxlen=MOST)
        self._starting, self._flushing = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def watches(self, model: str, route: str | None) -> bool:
        """Whether a request by this route is part of a trial."""
        if route is None or not (route == STABLE or route.startswith("canary ")):
            return False
        return bool(self._catalog.routes(model).canaries)

    def add(self, sight: Sight) -> None:
        """Something that it watches; waits for nothing."""
        self._sights.append(sight)
        if self._thread is None:
            self._start()

    def flush(self) -> None:
        """Add it to the trials; raises an outage, and keeps for the next time what was not added."""
        with self._flushing:
            sights = [self._sights.popleft() for _ in range(len(self._sights))]
            try:
                while sights:
                    model = sights[0].model
                    mine = [item for item in sights if item.model == model]
                    sights = [item for item in sights if item.model != model]
                    try:
                        self._judge(model, mine)
                    except OUTAGES:
                        sights = mine + sights
                        raise
            finally:
                # What came meanwhile is newer.
                room = MOST - len(self._sights)
                self._sights.extendleft(reversed(sights[-room:] if room > 0 else []))

    def _judge(self, model: str, sights: Sequence[Sight]) -> None:
        now, read = self._clock.now(), time.perf_counter()
        seen = [Seen(item.route, item.unit, _asked_at(item.asked, now, read), item.run_s, item.code) for item in sights]
        try:
            judge.add(self._engine, model, sorted(seen, key=lambda item: item.asked_at))
        except (errors.ModelNotFound, errors.VersionConflict, errors.InvalidInput) as error:
            log.warning("canary_not_judged", model=model, error=error.message)

    def close(self) -> None:
        """Add what is left, if that is possible now, and use no connection any more."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(*OUTAGES):
            self.flush()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closing.is_set():
                thread = threading.Thread(target=self._always, name="witness", daemon=True)
                with contextlib.suppress(RuntimeError):  # there may be no thread more: the next one tries again
                    thread.start()
                    self._thread = thread

    def _always(self) -> None:
        while not self._closing.wait(FLUSH_S):
            try:
                self.flush()
            except OUTAGES:
                continue
            except Exception:
                # Whatever it is, what is seen from now on must be judged some day.
                log.exception("canaries_not_judged")


def _asked_at(asked: float | dt.datetime, now: dt.datetime, read: float) -> dt.datetime:
    return asked if isinstance(asked, dt.datetime) else now - dt.timedelta(seconds=read - asked)
