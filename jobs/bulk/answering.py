"""Rows of a file, answered by a model several batches at once."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from core import errors
from inference import output
from inference import threads as cpus
from inference.interrupt import Interrupt
from inference.manifest import SHAP
from inference.model import Model
from jobs import told, why
from jobs.bulk.rows import Row
from jobs.lease import Held

#: Batches of a chunk that are on their way at once; each needs the memory of one.
MOST_RUNNERS = 4

Said = output.Said | errors.CoatcheckError


def answers(model: Model, held: Held, found: Iterator[Row]) -> Iterator[tuple[Row, Said]]:
    """Every row, in order, with what is said to it; raises ModelInterrupted.

    Few graphs keep every core busy with one batch, and Python reads and checks rows on none of the model's time: so
    several batches are on their way at once.
    """
    interrupt = Interrupt()
    held.begin(interrupt)
    runners = min(MOST_RUNNERS, cpus.available())
    going: deque[tuple[list[Row], Future[list[Said]]]] = deque()
    with ThreadPoolExecutor(runners, "runner") as pool:
        while True:
            batch = list(itertools.islice(found, model.bundle.manifest.max_batch))
            if batch:
                going.append((batch, pool.submit(_predict, model, held, interrupt, batch)))
            if not batch or len(going) > runners:
                if not going:
                    return
                done, future = going.popleft()
                yield from zip(done, future.result(), strict=True)


def _predict(model: Model, held: Held, interrupt: Interrupt, batch: Sequence[Row]) -> list[Said]:
    """What the model says to each row, or what is wrong with the row; raises ModelInterrupted."""
    inputs = [row.inputs for row in batch if row.inputs is not None]
    said = iter(_run(model, held, interrupt, inputs))
    return [row.error or next(said) for row in batch]


def _run(model: Model, held: Held, interrupt: Interrupt, inputs: Sequence[dict[str, Any]]) -> list[Said]:
    if not held.wanted:
        raise errors.ModelInterrupted
    if not inputs:
        return []
    try:
        said = model.each(inputs, interrupt)
        if told.explain_of(held.job) == SHAP:
            return why.explained(model, inputs, said, interrupt)
    except errors.ModelInterrupted:
        raise
    except errors.ModelError as error:
        if len(inputs) == 1:
            return [error]
        return [one for each in inputs for one in _run(model, held, interrupt, [each])]
    return said
