"""Asking shadows, by a worker that has found nothing else to do: a few inputs, then it looks for jobs again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy

from core import errors, metrics
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


@dataclass(frozen=True)
class Slack:
    """Of one worker process."""

    engine: sqlalchemy.Engine
    catalog: Catalog
    shelf: Shelf
    watch: Watch = field(default_factory=Watch)

    def use(self, pool: str) -> bool:
        """Ask a few of the copies of a pool; False where none waits."""
        taken = copies.take(self.engine, pool, AT_ONCE)
        if not taken:
            return False
        pairs.add(self.engine, list(self._compared(taken)))
        metrics.SHADOWS.labels(taken[0].model, "asked").inc(len(taken))
        return True

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
