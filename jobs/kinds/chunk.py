"""Some rows of a bulk job's file, answered into a part of its output."""

from __future__ import annotations

import itertools
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from core import errors
from inference import threads as cpus
from inference.interrupt import Interrupt
from inference.model import Model
from inference.output import Label
from jobs import told
from jobs.bulk import places, progress, rows
from jobs.bulk.rows import Row
from jobs.job import ReturnErrors
from jobs.kinds.kind import Kind, Tools, inference
from jobs.lease import Held
from jobs.outcome import Outcome, stopped
from jobs.payloads import Chunk as Payload
from jobs.result import Part
from registry.versions import Resolved
from storage.objects import Store

#: Batches of a chunk that are on their way at once; each needs the memory of one.
MOST_RUNNERS = 4

Said = Label | errors.CoatcheckError


class Chunk(Kind):
    """The payload is a `payloads.Chunk`."""

    name = Payload.KIND
    hidden = True
    offset_s = 30.0

    def run(self, tools: Tools, resolved: Resolved, held: Sequence[Held]) -> list[Outcome]:
        model = tools.shelf.predictor(resolved)
        with inference(held):
            return [_answer(tools.store, model, item) for item in held]

    def settled(self, tools: Tools, outcome: Outcome) -> set[str]:
        """The last chunk of a job, and one that ends it, say so at once; progress is a chore's."""
        parent = uuid.UUID(outcome.held.job.inputs["parent"])
        if outcome.error is not None or not progress.is_open(tools.engine, parent):
            return progress.advance(tools.engine, parent)
        return set()


@dataclass
class _Output:
    """Lines in order, and those of them that are errors."""

    lines: list[bytes] = field(default_factory=list)
    faults: list[bytes] = field(default_factory=list)


def _answer(store: Store, model: Model, held: Held) -> Outcome:
    """Answer a chunk and store its part, under this attempt's own name; raises InputChanged, Unavailable."""
    job, chunk, manifest = held.job, Payload.from_json(held.job.inputs), model.bundle.manifest
    found = rows.read(store, manifest, chunk)
    output, started = _Output(), time.perf_counter()
    interrupt = Interrupt()
    held.begin(interrupt)
    try:
        for row, said in _answers(model, held, interrupt, found):
            if isinstance(said, errors.CoatcheckError) and job.options["return_errors"] == ReturnErrors.FAIL_FAST:
                return Outcome(held, error=_located(said, row))
            _add(output, row, said, told.explain_of(job))
            held.advance(len(output.lines) / chunk.rows)
    except errors.ModelInterrupted:
        return stopped(held)
    part = _store(store, places.part(chunk, job.attempt), output)
    return Outcome(held, part, units=manifest.units * part.rows, run_s=time.perf_counter() - started)


def _answers(model: Model, held: Held, interrupt: Interrupt, found: Iterator[Row]) -> Iterator[tuple[Row, Said]]:
    """Every row, in order, with what is said to it; raises ModelInterrupted.

    Few graphs keep every core busy with one batch, and Python reads and checks rows on none of the model's time: so
    several batches are on their way at once.
    """
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
        return [*model.predict(inputs, interrupt)]
    except errors.ModelInterrupted:
        raise
    except errors.ModelError as error:
        if len(inputs) == 1:
            return [error]
        return [said for one in inputs for said in _run(model, held, interrupt, [one])]


def _add(output: _Output, row: Row, said: Said, explain: str) -> None:
    if isinstance(said, errors.CoatcheckError):
        line = rows.refusal(row, said)
        output.faults.append(line)
    else:
        line = rows.answer(row, **told.v1(said, explain))
    output.lines.append(line)


def _located(error: errors.CoatcheckError, row: Row) -> errors.CoatcheckError:
    """The error as the whole job's, with the line that it is about."""
    where = {"line": row.line} if row.id is None else {"line": row.line, "id": row.id}
    return type(error)(f"Line {row.line}: {error.message}", details={**error.details, **where})


def _store(store: Store, name: str, output: _Output) -> Part:
    key, errors_key = f"{name}.jsonl", f"{name}.errors.jsonl" if output.faults else None
    store.put(key, b"".join(output.lines))
    if errors_key is not None:
        store.put(errors_key, b"".join(output.faults))
    return Part(key, rows=len(output.lines), failed=len(output.faults), errors_key=errors_key)
