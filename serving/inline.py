"""Predictions that are made at once, in the process that was asked: all runs of one request share
COATCHECK_INLINE_TIMEOUT_S."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter, Histogram

from core import errors, metrics
from inference.manifest import SHAP
from inference.model import Model
from inference.output import Said, elements
from jobs.result import Fault
from registry.judging.trial import worst
from registry.judging.witness import Sight
from registry.versions import Resolved
from serving.serving import Serving
from serving.values import Ask

log = structlog.get_logger()

T = TypeVar("T")
Row = Mapping[str, Any]


def one(serving: Serving, ask: Ask, resolved: Resolved, row: Row, explain: str) -> Said:
    """One prediction, explained on this level; raises RateLimited, RequestTooCostly, ModelError, TimedOut, and what
    opening the model raises."""
    with serving.gate.spending(ask.caller, resolved.manifest.cost(explain)):
        model = _opened(serving, ask, resolved)
        ends_at = _end(serving, ask)
        return _seen(serving, ask, resolved, lambda: _predict(serving, ask, model, [row], explain, ends_at))[0]


def several(
    serving: Serving,
    ask: Ask,
    resolved: Resolved,
    rows: Sequence[Row],
    size: int,
    explain: str,
    *,
    individual: bool,
) -> list[Said | Fault]:
    """The answers to a batch, so many rows in one run at most; raises as `one`, unless each row has its own error, and
    BatchTooLarge."""
    if not rows:
        return []
    units, size = resolved.manifest.cost(explain), min(size, resolved.manifest.max_batch)
    with serving.gate.spending(ask.caller, units * len(rows)) as bill:
        model, ends_at = _opened(serving, ask, resolved), _end(serving, ask)

        def run() -> list[Said | Fault]:
            if individual:
                return _each(serving, ask, model, rows, size, explain, ends_at)
            made, count = list[Said | Fault](), 0
            for start in range(0, len(rows), size):
                found = _predict(serving, ask, model, rows[start : start + size], explain, ends_at)
                count = elements(found, count)
                made += found
            return made

        said = _seen(serving, ask, resolved, run)
        if not individual:
            return said
        bill.units = units * sum(not isinstance(item, Fault) or _ran_out(item) for item in said)
        return said


def _opened(serving: Serving, ask: Ask, resolved: Resolved) -> Model:
    """Noted where it can never be, and is on trial or compared with one that is: an outage of the store is nobody's
    fault, and hits only what is not open yet."""
    try:
        return serving.shelf.predictor(resolved)
    except (errors.ModelUnavailable, errors.BundleInvalid) as error:
        if serving.witness.watches(resolved.model, resolved.route) and (
            isinstance(error, errors.BundleInvalid) or serving.shelf.is_gone(resolved)
        ):
            code = errors.BundleInvalid.code
            serving.witness.add(Sight(resolved.model, resolved.route, ask.unit, ask.began, code=code))
        raise


def _seen(serving: Serving, ask: Ask, resolved: Resolved, run: Callable[[], list[T]]) -> list[T]:
    """What it gives, noted where the version is on trial or compared with one that is. How long it takes says something
    only of a single row."""
    if not serving.witness.watches(resolved.model, resolved.route):
        return run()
    began = time.perf_counter()
    sight = Sight(resolved.model, resolved.route, ask.unit, ask.began)
    try:
        made = run()
    except (errors.ModelError, errors.TimedOut) as error:
        if not ask.is_over:  # or a short deadline of somebody's would be the version's fault
            serving.witness.add(dataclasses.replace(sight, code=error.code))
        raise
    took_s = time.perf_counter() - began if len(made) == 1 else None
    code = worst([str(item.error["code"]) for item in made if isinstance(item, Fault)])
    serving.witness.add(dataclasses.replace(sight, run_s=took_s, code=code))
    return made


def _ran_out(fault: Fault) -> bool:
    """Whether a row has no answer because it took all of its time."""
    return bool(fault.error["code"] == errors.TimedOut.code)


def _each(
    serving: Serving, ask: Ask, model: Model, rows: Sequence[Row], size: int, explain: str, ends_at: float
) -> list[Said | Fault]:
    """A row that fails or is slow spoils only its own answer: a slice that fails runs again row by row, and so does all
    that is left once one was slow. What runs may take half of the time that is left, or then an even share of it."""
    made: list[Said | Fault] = []
    alone_to, slow, count = 0, False, 0
    while left := rows[len(made) :]:
        slice_ = left[: 1 if slow or len(made) < alone_to else size]
        try:
            share = _share(ends_at, len(left) if slow else min(2, len(left)))
            found = _predict(serving, ask, model, slice_, explain, share)
            count = elements(found, count)
            made += found
        except (errors.ModelError, errors.TimedOut) as error:
            slow = slow or isinstance(error, errors.TimedOut)
            alone_to = max(alone_to, len(made) + len(slice_))
            if len(slice_) == 1:
                made.append(Fault.of(error))
    return made


def _predict(serving: Serving, ask: Ask, model: Model, rows: Sequence[Row], explain: str, ends_at: float) -> list[Said]:
    manifest = model.bundle.manifest
    seconds, predicted = _counters(manifest.name, manifest.version)
    try:
        with seconds.time(), serving.watch.until(ends_at) as interrupt:
            found = model.predict(rows, interrupt)
            if explain == SHAP:
                found = model.explained(rows, found, interrupt)
    except errors.ModelInterrupted as error:
        if ask.is_over:
            raise errors.TimedOut("The model did not answer within the deadline of the request") from error
        limit_s = serving.settings.api.inline_timeout_s
        log.warning("inline_run_ended", model=manifest.name, version=manifest.version, rows=len(rows), limit_s=limit_s)
        raise errors.TimedOut(
            f"The model did not answer in time: a request that is answered at once has {limit_s:g} s for all of its "
            "inputs. Hand it in as a job: say `Prefer: respond-async`, or POST /api/jobs",
            details={"limit_s": limit_s},
        ) from error
    predicted.inc(len(rows))
    return found


def _end(serving: Serving, ask: Ask) -> float:
    """When the time of a request that begins now is over; what opening its model took is not part of it, unless who
    asks says until when it is of use."""
    return min(time.monotonic() + serving.settings.api.inline_timeout_s, ask.ends_at)


def _share(ends_at: float, of: int) -> float:
    now = time.monotonic()
    return now + max(0.0, ends_at - now) / of


@functools.cache
def _counters(model: str, version: str) -> tuple[Histogram, Counter]:
    """To look them up costs more than to count."""
    return metrics.INFERENCE_SECONDS.labels(model), metrics.INLINE.labels(model, version)
