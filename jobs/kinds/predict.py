"""One or several inputs, carried in the row. One input's failure is its own job's failure, never its neighbours'."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import errors
from inference.explain.wanted import Wanted
from inference.interrupt import Interrupt
from inference.manifest import SHAP, Manifest
from inference.model import Model
from inference.output import Said, elements
from jobs import told, why
from jobs.job import Claimed, ReturnErrors
from jobs.kinds.kind import Kind, Tools, inference
from jobs.lease import Held
from jobs.outcome import Outcome, stopped
from jobs.remembered import Remembered
from jobs.result import Fault, Result, Several, Stored

Row = Mapping[str, Any]

#: Where not even as much could be asked as an explanation with an error takes.
ADVICE = (
    ", which is too short for the fewest questions that reasons take. POST /api/jobs with a larger timeout_s, or with "
    "less at once: fewer inputs, a shorter text"
)


class Predict(Kind):
    """The payload is one input object or a list of them."""

    name = "predict"
    batches = True

    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        model = tools.shelf.predictor(tools.version(held[0].job))
        with inference(held):
            return run(model, held)

    def settled(self, tools: Tools, outcome: Outcome) -> set[str]:
        """Shadows are asked what the stable version has answered, or could not."""
        job = outcome.held.job
        if job.route == "stable" and not outcome.held.lost and (said := _said(outcome)) is not None:
            mirrors = tools.catalog.mirrors(job.model, job.request_id)
            tools.shadows.offer(mirrors, (job.model, job.version, job.request_id), rows_of(job), said)
        return set()


def _said(outcome: Outcome) -> list[object] | None:
    """What was said to each of its rows, or why nothing was; None of what is not over, or was too large to be kept
    here."""
    rows = rows_of(outcome.held.job)
    match outcome.result:
        case Several(items):
            refused = outcome.held.job.options.get("refused", {})
            return [item for place, item in enumerate(items) if str(place) not in refused]
        case Stored():
            return None
        case None:
            over = isinstance(outcome.error, errors.ModelError) and not outcome.error.retryable
            return [outcome.error] * len(rows) if over else None
    return [outcome.result]


def rows_of(job: Claimed) -> Sequence[Row]:
    """Its inputs."""
    return job.inputs if isinstance(job.inputs, list) else [job.inputs]


def in_place(said: Sequence[Said | Fault], refused: Mapping[str, Mapping[str, Any]]) -> list[Said | Fault]:
    """What was said, in the order of the request: among it, by their places, the errors of what never became an
    input."""
    made = iter(said)
    places = map(str, range(len(said) + len(refused)))
    return [Fault(refused[place]["error"]) if place in refused else next(made) for place in places]


def run(model: Model, held: Sequence[Held]) -> list[Outcome]:
    """Predict every input of every job, `max_batch` at a time; a job nobody wants any more stays as it is."""
    return _run(model, [_Running(item, rows_of(item.job)) for item in held], model.bundle.manifest.max_batch)


def run_alone(model: Model, held: Held, remembered: Remembered) -> Outcome:
    """The same of one job, an input at a time, whose reasons are asked for by and by."""
    [outcome] = _run(model, [_Running(held, rows_of(held.job), remembered)], 1)
    return outcome


def _run(model: Model, running: Sequence[_Running], size: int) -> list[Outcome]:
    for slice_ in _slices(running, size):
        rows = [(item, row) for item, row in slice_ if item.open]
        if rows:
            _predict(model, rows)
    return [item.outcome(model.bundle.manifest) for item in running]


@dataclass
class _Running:
    """A job on its way: what was said to its inputs so far, or the error that ends it."""

    held: Held
    rows: Sequence[Row]
    remembered: Remembered | None = None
    said: list[Said | Fault] = field(default_factory=list)
    error: errors.CoatcheckError | None = None
    elements: int = 0
    run_s: float = 0.0

    @property
    def open(self) -> bool:
        return self.held.wanted and self.error is None

    def hear(self, said: Said | errors.CoatcheckError) -> None:
        """The next input's answer, or its error."""
        if self.error is not None:
            return
        if not isinstance(said, errors.CoatcheckError):
            try:
                self.elements = elements([said], self.elements)
            except errors.BatchTooLarge as error:
                self.error = error
                return
            self.said.append(said)
        elif self.held.job.options.get("return_errors") == ReturnErrors.INDIVIDUAL:
            self.said.append(Fault.of(said))
        else:
            self.error = _located(said, len(self.said)) if isinstance(self.held.job.inputs, list) else said
            return
        if len(self.said) < len(self.rows):  # whose last one was answered is not worth a heartbeat any more
            self.held.advance(len(self.said) / len(self.rows))

    def outcome(self, manifest: Manifest) -> Outcome:
        job = self.held.job
        if self.error is not None:
            return Outcome(self.held, error=self.error, run_s=self.run_s)
        if len(self.said) < len(self.rows):
            return stopped(self.held, self.run_s, ADVICE if manifest.asked_apart(told.explain_of(job)) else "")
        result: Result
        if isinstance(job.inputs, list):
            result = Several(in_place(self.said, job.options.get("refused", {})))
        else:
            # Its only input was answered: an error would have ended it.
            [result] = [said for said in self.said if not isinstance(said, Fault)]
        answered = sum(not isinstance(said, Fault) for said in self.said)
        units = manifest.cost(told.explain_of(job)) * answered
        return Outcome(self.held, result, units=units, run_s=self.run_s)


def _located(error: errors.CoatcheckError, place: int) -> errors.CoatcheckError:
    """The error as a whole list's: a field that it names is that of the input in this place."""
    if "field" not in error.details:
        return error
    return type(error)(error.message, details={**error.details, "field": f"inputs.{place}.{error.details['field']}"})


RunningRow = tuple[_Running, Row]


def _slices(running: Sequence[_Running], size: int) -> Iterator[list[RunningRow]]:
    rows = [(item, row) for item in running for row in item.rows]
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _predict(model: Model, rows: Sequence[RunningRow]) -> None:
    interrupt = Interrupt()
    together = {item.held.job.id: item for item, _ in rows}.values()
    for item in together:
        item.held.begin(interrupt, max(1, (len(item.rows) - len(item.said)) // len(rows)))
    started = time.perf_counter()
    try:
        predictions = _explained(model, rows, model.each([row for _, row in rows], interrupt), interrupt)
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


def _explained(
    model: Model, rows: Sequence[RunningRow], said: Sequence[why.Answer], interrupt: Interrupt
) -> list[why.Answer]:
    """With reasons where their job asks for them."""
    found = [*said]
    asking = [place for place, (item, _) in enumerate(rows) if told.explain_of(item.held.job) == SHAP]
    if not asking:
        return found
    first, mine = rows[asking[0]][0], [rows[place][1] for place in asking]

    known = [first.remembered.of(len(first.said))] if first.remembered else None

    def heard(part: float) -> None:
        first.held.advance((len(first.said) + part) / len(first.rows))
        if first.remembered:
            first.remembered.keep()

    options = first.held.job.options
    tolerance = options.get("explain_tolerance", 0.0)
    wanted = Wanted(tolerance, heard, known)
    made = why.explained(model, mine, [said[place] for place in asking], interrupt, wanted)
    for place, one in zip(asking, made, strict=True):
        found[place] = why.within(one, tolerance) if options.get("explain_strict") else one
    return found


def _one_job_at_a_time(model: Model, rows: Sequence[RunningRow]) -> None:
    """Nobody may lose its time to a slow neighbour."""
    jobs: dict[object, list[RunningRow]] = {}
    for item, row in rows:
        jobs.setdefault(item.held.job.id, []).append((item, row))
    if len(jobs) == 1:
        return
    for mine in jobs.values():
        mine[0][0].held.begin_again()
        if mine[0][0].open:
            _predict(model, mine)


def _one_row_at_a_time(model: Model, rows: Sequence[RunningRow], error: errors.ModelError) -> None:
    if len(rows) == 1:
        rows[0][0].hear(error)
        return
    for row in rows:
        if row[0].open:
            _predict(model, [row])
