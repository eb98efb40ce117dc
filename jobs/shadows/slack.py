"""Asking shadows, by a worker that has found nothing else to do: a few inputs, then it looks for jobs again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy

from core import broker, errors, metrics
from core.processors import Processors
from inference import schema
from inference.interrupt import Watch
from inference.manifest import Manifest
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
        asked = list(self._compared(taken))
        if asked:
            pairs.add(self.engine, asked)
        for result, count in (("asked", len(asked)), ("dropped_no_time", len(taken) - len(asked))):
            metrics.SHADOWS.labels(taken[0].model, result).inc(count)
        if self.processors.idle() < IDLE:
            self._rest(pool, (time.monotonic() - began) * (PART - 1))
        return True

    def _rest(self, pool: str, seconds: float) -> None:
        self._rests_until = time.monotonic() + seconds
        later = threading.Timer(seconds, self.hints.send, (pool,))
        later.daemon = True
        later.start()

    def _compared(self, taken: Sequence[Copy]) -> Iterator[Pair]:
        """Of as many as there is time for, and of none where the platform cannot give the model now: neither says
        anything of the shadow."""
        try:
            model = self.shelf.predictor(self.catalog.resolve(taken[0].model, taken[0].version))
        except (errors.Unavailable, errors.ModelUnavailable):
            return
        except errors.CoatcheckError as error:
            yield from (Pair.of(copy, Brief(error=error.code)) for copy in taken)
            return
        ends_at = time.monotonic() + RUN_S
        for copy in taken:
            began = time.perf_counter()
            try:
                said: object = self._asked(model, copy, ends_at)
            except errors.ModelInterrupted as error:
                if copy is not taken[0]:
                    return
                said = error  # all of the time was not enough for it
            except errors.CoatcheckError as error:
                said = error
            brief = Brief.of(said, (time.perf_counter() - began) * 1000)
            yield Pair.of(copy, brief or Brief(error=errors.ModelError.code))
            if time.monotonic() >= ends_at:
                return

    def _asked(self, model: Model, copy: Copy, ends_at: float) -> object:
        """What it says to one input alone, as the stable version's time is of one; raises CoatcheckError."""
        stable: Manifest | None = None
        with contextlib.suppress(errors.CoatcheckError):
            stable = self.catalog.resolve(copy.model, copy.stable_version).manifest
        manifest = model.bundle.manifest
        row = schema.validate_inputs(manifest, given(copy.inputs, stable, manifest))
        with self.watch.until(ends_at) as interrupt:
            return model.each([row], interrupt)[0]


def given(inputs: Mapping[str, Any], stable: Manifest | None, shadow: Manifest) -> dict[str, Any]:
    """What its client gave, as far as that is known: without what the stable version has put in the places of fields
    that were left out, and the shadow puts in otherwise or does not have."""
    known, put_in = {item.name for item in shadow.fields}, {}
    if stable is not None:
        put_in = {item.name: item.default for item in stable.fields if not item.required}
    return {
        name: value
        for name, value in inputs.items()
        if value is not None and (name in known or name not in put_in or value != put_in[name])
    }
