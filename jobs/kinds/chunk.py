"""Some rows of a bulk job's file, answered into a part of its output."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from core import errors
from inference.model import Model
from jobs import told
from jobs.bulk import answering, progress, rows
from jobs.bulk.part import Writing
from jobs.bulk.rows import Row
from jobs.job import ReturnErrors
from jobs.kinds.kind import Kind, Tools, inference
from jobs.lease import Held
from jobs.outcome import Outcome, stopped
from jobs.payloads import Chunk as Payload


class Chunk(Kind):
    """The payload is a `payloads.Chunk`."""

    name = Payload.KIND
    hidden = True
    offset_s = 30.0

    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        model = tools.shelf.predictor(tools.version(held[0].job))
        with inference(held):
            return [_answer(tools, model, item) for item in held]

    def settled(self, tools: Tools, outcome: Outcome) -> set[str]:
        """The last chunk of a job, and one that ends it, say so at once; progress is a chore's."""
        parent = uuid.UUID(outcome.held.job.inputs["parent"])
        if outcome.error is not None or not progress.is_open(tools.engine, parent):
            return progress.advance(tools.engine, parent)
        return set()


def _answer(tools: Tools, model: Model, held: Held) -> Outcome:
    """Answer a chunk and store its part; raises InputChanged, Unavailable."""
    job, chunk, manifest = held.job, Payload.from_json(held.job.inputs), model.bundle.manifest
    found = rows.read(tools.store, manifest, chunk)
    started = time.perf_counter()
    with Writing.of(job) as part:
        try:
            for row, said in answering.answers(model, held, found):
                if isinstance(said, errors.CoatcheckError) and job.options["return_errors"] == ReturnErrors.FAIL_FAST:
                    return Outcome(held, error=_located(said, row))
                part.add(row, said)
                held.advance(part.rows / chunk.rows)
        except errors.ModelInterrupted:
            return stopped(held)
        stored = part.store(tools.store, chunk, job.attempt)
    units = manifest.cost(told.explain_of(job)) * (stored.rows - stored.failed)
    return Outcome(held, stored, units=units, run_s=time.perf_counter() - started)


def _located(error: errors.CoatcheckError, row: Row) -> errors.CoatcheckError:
    """The error as the whole job's, with the line that it is about."""
    where = {"line": row.line} if row.id is None else {"line": row.line, "id": row.id}
    return type(error)(f"Line {row.line}: {error.message}", details={**error.details, **where})
