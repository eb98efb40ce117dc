"""Running a claimed batch through its model. One input's failure is its own job's failure, never its neighbours'."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core import errors
from inference.interrupt import Interrupt
from inference.model import Model, Prediction
from jobs.lease import Held

#: Progress before the result is stored; 100 means completed.
ALMOST = 99


@dataclass
class Outcome:
    """What one job came to: all its predictions, or the first error. `run_s` is the time of the runs it took part
    in."""

    held: Held
    predictions: list[Prediction] = field(default_factory=list)
    error: errors.CoatcheckError | None = None
    run_s: float = 0.0

    @property
    def complete(self) -> bool:
        return self.error is None and len(self.predictions) == len(self.held.job.rows)

    @property
    def open(self) -> bool:
        return self.held.wanted and self.error is None


def run(model: Model, held: Sequence[Held]) -> list[Outcome]:
    """Predict every input of every job, `max_batch` at a time; a job nobody wants any more is left where it is."""
    outcomes = [Outcome(item) for item in held]
    for slice_ in _slices(outcomes, model.bundle.manifest.max_batch):
        rows = [(outcome, row) for outcome, row in slice_ if outcome.open]
        if rows:
            _predict(model, rows)
    for outcome in outcomes:
        if outcome.held.timed_out and outcome.error is None and not outcome.complete:
            outcome.error = errors.TimedOut(f"The run took longer than timeout_s={outcome.held.job.timeout_s}")
    return outcomes


Row = tuple[Outcome, dict[str, object]]


def _slices(outcomes: Sequence[Outcome], size: int) -> Iterator[list[Row]]:
    rows = [(outcome, row) for outcome in outcomes for row in outcome.held.job.rows]
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _predict(model: Model, rows: Sequence[Row]) -> None:
    interrupt = Interrupt()
    together = {outcome.held.job.id: outcome for outcome, _ in rows}.values()
    for outcome in together:
        outcome.held.begin(interrupt)
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
        for outcome in together:
            outcome.run_s += time.perf_counter() - started
    for (outcome, _), prediction in zip(rows, predictions, strict=True):
        outcome.predictions.append(prediction)
        outcome.held.progress = ALMOST * len(outcome.predictions) // len(outcome.held.job.rows)


def _one_job_at_a_time(model: Model, rows: Sequence[Row]) -> None:
    """Nobody may lose its time to a slow neighbour."""
    jobs: dict[object, list[Row]] = {}
    for outcome, row in rows:
        jobs.setdefault(outcome.held.job.id, []).append((outcome, row))
    if len(jobs) == 1:
        return
    for mine in jobs.values():
        mine[0][0].held.begin_again()
        if mine[0][0].open:
            _predict(model, mine)


def _one_row_at_a_time(model: Model, rows: Sequence[Row], error: errors.ModelError) -> None:
    if len(rows) == 1:
        rows[0][0].error = error
        return
    for row in rows:
        if row[0].open:
            _predict(model, [row])
