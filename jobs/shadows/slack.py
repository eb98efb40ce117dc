"""Asking shadows, by a worker that has found nothing else to do: a few inputs, then it looks for jobs again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy

from core import broker, errors, metrics
from core.processors import Processors
from inference import schema
from inference.interrupt import Watch
from inference.model import Model
from jobs.shadows import copies, pairs
from jobs.shadows.answer import Brief
from jobs.shadows.copies import Copy
from jobs.shadows.pairs import Pair
from registry.catalog import Catalog
from registry.shelf import Shelf

#: How many inputs are taken at once, and how long all of them may take.
AT_ONCE, RUN_S = 8, 2.0
#: Where less than this part of the machine's processors is idle, shadows have one part in so many of a worker's time.
IDLE, PART = 0.25, 20


@dataclass
class Slack:
    """Of one worker process."""

    engine: sqlalchemy.Engine
    catalog: Catalog
    shelf: Shelf
    hints: broker.Hints
    processors: Processors = field(default_factory=Processors)
    watch: Watch = field(default_factory=Watch)
    _rests_until: float = 0.0

    def use(self, pool: str) -> bool:
        """Ask a few of the copies of a pool; False where none waits, and where others have use for the processors: then
        the pool is woken up again when it may go on."""
        began = time.monotonic()
        if began < self._rests_until:
            return False
        taken = copies.take(self.engine, pool, AT_ONCE)
        if not taken:
            return False
        pairs.add(self.engine, list(self._compared(taken)))
        metrics.SHADOWS.labels(taken[0].model, "asked").inc(len(taken))
        if self.processors.idle() < IDLE:
            self._rest(pool, (time.monotonic() - began) * (PART - 1))
        return True

    def _rest(self, pool: str, seconds: float) -> None:
        self._rests_until = time.monotonic() + seconds
        later = threading.Timer(seconds, self.hints.send, (pool,))
        later.daemon = True
        later.start()

    def _compared(self, taken: Sequence[Copy]) -> Iterator[Pair]:
        ends_at = time.monotonic() + RUN_S
        model: Model | None = None
        for copy in taken:
            began = time.perf_counter()
            try:
                if model is None:
                    model = self.shelf.predictor(self.catalog.resolve(copy.model, copy.version))
                began = time.perf_counter()
                said: object = self._asked(model, copy, ends_at)
            except errors.CoatcheckError as error:
                said = error
            brief = Brief.of(said, (time.perf_counter() - began) * 1000)
            yield Pair.of(copy, brief or Brief(error=errors.ModelError.code))

    def _asked(self, model: Model, copy: Copy, ends_at: float) -> object:
        """What it says to one input alone, as the stable version's time is of one; raises CoatcheckError."""
        row = schema.validate_inputs(model.bundle.manifest, copy.inputs)
        with self.watch.until(ends_at) as interrupt:
            return model.each([row], interrupt)[0]
