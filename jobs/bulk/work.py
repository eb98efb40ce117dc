"""One chunk: its rows through the model, into a part of the output."""

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
from jobs import run
from jobs.bulk import rows
from jobs.bulk.rows import Row
from jobs.job import Claimed
from jobs.lease import Held
from jobs.run import Said
from storage.objects import Store

FAIL_FAST = "fail_fast"
#: Batches of a chunk that are on their way at once; each needs the memory of one.
MOST_RUNNERS = 4


@dataclass
class _Part:
    """Output lines in order, and those of them that are errors."""

    output: list[bytes] = field(default_factory=list)
    faults: list[bytes] = field(default_factory=list)


def folder(bulk_id: uuid.UUID) -> str:
    """Where everything of a bulk job lies."""
    return f"bulk/{bulk_id.hex}/"


def answer(store: Store, model: Model, held: Held) -> run.Outcome:
    """Answer a chunk and store its part, under this attempt's own name; raises InputChanged, Unavailable."""
    job, chunk, manifest = held.job, held.job.inputs, model.bundle.manifest
    found = rows.read(store, manifest, chunk)
    part, started = _Part(), time.perf_counter()
    interrupt = Interrupt()
    held.begin(interrupt)
    try:
        for row, said in _answers(model, held, interrupt, found):
            if isinstance(said, errors.CoatcheckError) and job.options["return_errors"] == FAIL_FAST:
                return run.Outcome(held, error=_located(said, row))
            _add(part, row, said, explain=bool(job.options.get("explain")))
            held.advance(len(part.output) / chunk["rows"])
    except errors.ModelInterrupted:
        return run.stopped(held)
    result = _store(store, job, part)
    return run.Outcome(held, result, units=manifest.units * len(part.output), run_s=time.perf_counter() - started)


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


def _add(part: _Part, row: Row, said: Said, *, explain: bool) -> None:
    if isinstance(said, errors.CoatcheckError):
        line = rows.refusal(row, said)
        part.faults.append(line)
    else:
        more = {"explanation": {"method": "scores", "scores": said.scores}} if explain else {}
        line = rows.answer(row, prediction=said.label, confidence=said.confidence, **more)
    part.output.append(line)


def _located(error: errors.CoatcheckError, row: Row) -> errors.CoatcheckError:
    """The error as the whole job's, with the line that it is about."""
    where = {"line": row.line} if row.id is None else {"line": row.line, "id": row.id}
    return type(error)(f"Line {row.line}: {error.message}", details={**error.details, **where})


def _store(store: Store, job: Claimed, part: _Part) -> dict[str, Any]:
    """A chunk's result: where its part lies, and how much is in it."""
    chunk = job.inputs
    name = f"{folder(uuid.UUID(chunk['parent']))}parts/{chunk['part']:06}.{job.attempt}"
    result: dict[str, Any] = {"key": f"{name}.jsonl", "rows": len(part.output), "failed": len(part.faults)}
    store.put(result["key"], b"".join(part.output))
    if part.faults:
        store.put(f"{name}.errors.jsonl", b"".join(part.faults))
        result["errors_key"] = f"{name}.errors.jsonl"
    return result
