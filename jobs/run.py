"""Running a claimed batch through its model. One input's failure is its own job's failure, never its neighbours'."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy

from core import errors
from inference.interrupt import Interrupt
from inference.model import Model, Prediction
from jobs.lease import Held

#: What `return_errors` says where each bad input of a list has an error in its place, and ends nothing.
INDIVIDUAL = "individual"

Said = Prediction | errors.CoatcheckError


@dataclass(frozen=True)
class Outcome:
    """What one attempt came to: a result, an error, or neither if it was left where it was.

    `units` is what it costs, `run_s` the time in the model; `hand_over` is how it ends when it goes on in other jobs.
    """

    held: Held
    result: dict[str, Any] | None = None
    error: errors.CoatcheckError | None = None
    units: int = 0
    run_s: float = 0.0
    hand_over: Callable[[sqlalchemy.Engine], bool] | None = None


def stopped(held: Held, run_s: float = 0.0) -> Outcome:
    """Of an attempt that nobody wants to go on with: an error only if its time ran out."""
    late = errors.TimedOut(f"The run took longer than timeout_s={held.job.timeout_s}") if held.timed_out else None
    return Outcome(held, error=late, run_s=run_s)


def folder(job_id: uuid.UUID) -> str:
    """Where a result lies that is too large for the database."""
    return f"results/{job_id.hex}/"


def body(prediction: Prediction) -> dict[str, Any]:
    """A prediction as it is stored and handed out."""
    return {"prediction": prediction.label, "confidence": prediction.confidence, "scores": prediction.scores}


def refusal(error: errors.CoatcheckError) -> dict[str, Any]:
    """What stands in a list in place of a prediction."""
    return {"error": errors.body(error, most=1)}


@dataclass
class _Running:
    """A job on its way: what was said to its inputs so far, or the error that ends it."""

    held: Held
    said: list[Said] = field(default_factory=list)
    error: errors.CoatcheckError | None = None
    run_s: float = 0.0

    @property
    def open(self) -> bool:
        return self.held.wanted and self.error is None

    def hear(self, said: Said) -> None:
        """The next input's answer, or its error."""
        if isinstance(said, errors.CoatcheckError) and self.held.job.options.get("return_errors") != INDIVIDUAL:
            self.error = said
            return
        self.said.append(said)
        self.held.advance(len(self.said) / len(self.held.job.rows))

    def outcome(self, units: int) -> Outcome:
        job = self.held.job
        if self.error is not None:
            return Outcome(self.held, error=self.error, run_s=self.run_s)
        if len(self.said) < len(job.rows):
            return stopped(self.held, self.run_s)
        bodies = [body(said) if isinstance(said, Prediction) else refusal(said) for said in self.said]
        answered = sum("error" not in item for item in bodies)
        refused = job.options.get("refused", {})
        result = {"predictions": in_place(bodies, refused)} if isinstance(job.inputs, list) else bodies[0]
        return Outcome(self.held, result, units=units * answered, run_s=self.run_s)


def in_place(said: Sequence[dict[str, Any]], refused: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What was said, in the order of the request: among it, by their places, the errors of what never became an
    input."""
    made = iter(said)
    return [refused.get(str(place)) or next(made) for place in range(len(said) + len(refused))]


def run(model: Model, held: Sequence[Held]) -> list[Outcome]:
    """Predict every input of every job, `max_batch` at a time; a job nobody wants any more is left where it is."""
    running = [_Running(item) for item in held]
    for slice_ in _slices(running, model.bundle.manifest.max_batch):
        rows = [(item, row) for item, row in slice_ if item.open]
        if rows:
            _predict(model, rows)
    return [item.outcome(model.bundle.manifest.units) for item in running]


Row = tuple[_Running, dict[str, object]]


def _slices(running: Sequence[_Running], size: int) -> Iterator[list[Row]]:
    rows = [(item, row) for item in running for row in item.held.job.rows]
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _predict(model: Model, rows: Sequence[Row]) -> None:
    interrupt = Interrupt()
    together = {item.held.job.id: item for item, _ in rows}.values()
    for item in together:
        item.held.begin(interrupt)
    started = time.perf_counter()
    try:
        predictions = model.predict([row for _, row in rows], interrupt)
    except errors.ModelInterrupted:
        _one_job_at_a_time(model, rows)
        return
    except errors.ModelError as error:
        _one_row_at_a_time(model, rows, error)
        return
    finally:
        for item in together:
            item.run_s += time.perf_counter() - started
    for (item, _), prediction in zip(rows, predictions, strict=True):
        item.hear(prediction)


def _one_job_at_a_time(model: Model, rows: Sequence[Row]) -> None:
    """Nobody may lose its time to a slow neighbour."""
    jobs: dict[object, list[Row]] = {}
    for item, row in rows:
        jobs.setdefault(item.held.job.id, []).append((item, row))
    if len(jobs) == 1:
        return
    for mine in jobs.values():
        mine[0][0].held.begin_again()
        if mine[0][0].open:
            _predict(model, mine)


def _one_row_at_a_time(model: Model, rows: Sequence[Row], error: errors.ModelError) -> None:
    if len(rows) == 1:
        rows[0][0].hear(error)
        return
    for row in rows:
        if row[0].open:
            _predict(model, [row])
