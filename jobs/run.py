"""Running a claimed batch through its model. One input's failure is its own job's failure, never its neighbours'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core import errors
from inference.model import Model, Prediction
from jobs.lease import Held

#: Progress before the result is stored; 100 means completed.
ALMOST = 99


@dataclass
class Outcome:
    """What one job came to: all its predictions, or the first error."""

    held: Held
    predictions: list[Prediction] = field(default_factory=list)
    error: errors.CoatcheckError | None = None


def run(model: Model, held: Sequence[Held]) -> list[Outcome]:
    """Predict every input of every job, `max_batch` at a time; a job nobody wants any more is left where it is."""
    outcomes = [Outcome(item) for item in held]
    for slice_ in _slices(outcomes, model.bundle.manifest.max_batch):
        wanted = [(outcome, row) for outcome, row in slice_ if outcome.held.wanted and outcome.error is None]
        if wanted:
            _predict(model, wanted)
    return outcomes


Row = tuple[Outcome, dict[str, object]]


def _slices(outcomes: Sequence[Outcome], size: int) -> Iterator[list[Row]]:
    rows = [(outcome, row) for outcome in outcomes for row in outcome.held.job.rows]
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _predict(model: Model, rows: Sequence[Row]) -> None:
    try:
        predictions = model.predict([row for _, row in rows])
    except errors.ModelError as error:
        if len(rows) == 1:
            rows[0][0].error = error
            return
        for row in rows:
            if row[0].error is None:
                _predict(model, [row])
        return
    for (outcome, _), prediction in zip(rows, predictions, strict=True):
        outcome.predictions.append(prediction)
        outcome.held.progress = ALMOST * len(outcome.predictions) // len(outcome.held.job.rows)
