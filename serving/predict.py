"""Predictions: made at once where the model is light, otherwise through a job that is waited for."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from core import errors
from inference.output import Said
from jobs import kinds
from jobs.job import ReturnErrors, Timing
from jobs.kinds.predict import in_place
from jobs.result import Fault, Several
from registry.versions import Resolved
from serving import accept, inline, inputs, once
from serving.cached import Cached
from serving.serving import Serving
from serving.values import Answer, Answers, Ask, Order, Patience, Preference, Replied, Reply, Served
from serving.waited import Waited

T = TypeVar("T")


def one(
    serving: Serving, ask: Ask, raw: object, *, explain: Sequence[str | None], wants: Preference, patience: Patience
) -> Replied[Reply]:
    """The answer to one input, or the ticket of its job if that is preferred or takes too long. `explain` is what was
    asked for in each place where it can be.

    Raises InvalidInput, Forbidden, ModelNotFound, VersionNotFound, ModelError, TimedOut, JobFailed, BacklogFull,
    Unavailable.
    """
    resolved = inputs.resolve(serving, ask)
    with inputs.judged_by(resolved):
        manifest = inputs.takes_rows(resolved).manifest
        level = inputs.explain(resolved, *explain)
        row = inputs.one(manifest, raw)
    cached = Cached(serving, ask, resolved, level)

    def answer(said: Said, timing: Timing) -> Answer:
        return Answer(said, level, Served.by(resolved), ask.request_id, timing)

    if manifest.inline and not wants.respond_async and not manifest.asked_apart(level):
        run = functools.partial(inline.one, serving, ask, resolved, row, level)

        def at_once() -> Answer:
            [said], timing = _timed(serving, ask, resolved, [row], lambda: [cached.one(row, run)])
            return answer(said, timing)

        made = once.replied(serving.engine, ask.key, at_once)
        units = 0 if cached.hits else manifest.cost(level)
        return _written_down(serving, ask, resolved, made, units, cached)
    # A key stands for a job, and nobody waits for a ticket.
    if ask.key is None and not wants.respond_async and (kept := cached.get(row)) is not None:
        [said], timing = _timed(serving, ask, resolved, [row], lambda: [kept])
        return _written_down(serving, ask, resolved, Replied(answer(said, timing)), 0, cached)
    kind = kinds.EXPLAIN if manifest.asked_apart(level) else kinds.PREDICT
    new = accept.new(serving, ask, Order(), resolved, row, {"explain": level}, kind=kind)
    by_job = Waited(
        serving, ask, resolved, wants, patience, lambda said, timing: answer(cached.keep(row, cast(Said, said)), timing)
    )
    return cached.told(by_job.reply(new))


def several(
    serving: Serving,
    ask: Ask,
    raw: list[Any],
    *,
    explain: str | None = None,
    return_errors: str,
    batch_size: int,
    wants: Preference,
    patience: Patience,
    resolved: Resolved | None = None,
) -> Replied[Reply]:
    """The same of several inputs, so many in one run at most, by the version that was resolved already, if there is
    one; raises as `one`, and BatchTooLarge."""
    resolved, most = resolved or inputs.resolve(serving, ask), serving.settings.api.max_batch_items
    with inputs.judged_by(resolved):
        manifest = inputs.takes_rows(resolved).manifest
        level = inputs.explain(resolved, explain)
        apart = manifest.asked_apart(level)
        rows, refused = inputs.many(manifest, raw, return_errors, most=inputs.most(manifest, level, most))
    cached = Cached(serving, ask, resolved, level)

    def answers(said: Sequence[Said | Fault], timing: Timing) -> Answers:
        return Answers(said, Served.by(resolved), ask.request_id, timing, level)

    def at_once() -> Answers:
        individual = return_errors == ReturnErrors.INDIVIDUAL
        run = functools.partial(
            inline.several, serving, ask, resolved, size=batch_size, explain=level, individual=individual
        )
        made, timing = _timed(serving, ask, resolved, rows, lambda: cached.several(rows, run))
        return answers(in_place(made, refused), timing)

    if not rows or (manifest.inline and not wants.respond_async and not apart):
        replied = once.replied(serving.engine, ask.key, at_once)
        answered = sum(not isinstance(said, Fault) for said in cast(Answers, replied.value).said)
        units = manifest.cost(level) * (answered - cached.hits)
        return _written_down(serving, ask, resolved, replied, units, cached)
    options = {"explain": level, "return_errors": return_errors, "refused": refused}
    kind = kinds.EXPLAIN if apart else kinds.PREDICT
    new = accept.new(serving, ask, Order(), resolved, rows, options, kind=kind)
    by_job = Waited(
        serving, ask, resolved, wants, patience, lambda said, timing: answers(cast(Several, said).items, timing)
    )
    return cached.told(by_job.reply(new))


def _timed(
    serving: Serving, ask: Ask, resolved: Resolved, rows: Sequence[Any], run: Callable[[], list[T]]
) -> tuple[list[T], Timing]:
    """What it gives, with how long that took since it was asked. Shadows are to be asked the same afterwards."""
    asked = resolved.model, resolved.version, ask.request_id
    began = time.perf_counter()
    try:
        found = run()
    except (errors.ModelError, errors.TimedOut) as error:
        serving.shadows.offer(resolved.mirrors, asked, rows, [error] * len(rows))
        raise
    queued_s, total_s = began - ask.began, time.perf_counter() - ask.began
    timing = Timing(queued_s * 1000, (total_s - queued_s) * 1000, total_s * 1000)
    serving.shadows.offer(resolved.mirrors, asked, rows, found, ms=timing.ran_ms if len(rows) == 1 else None)
    return found, timing


def _written_down(
    serving: Serving, ask: Ask, resolved: Resolved, replied: Replied[Reply], units: int, cached: Cached
) -> Replied[Reply]:
    """What it cost, unless an earlier request under the same key has paid for it; what was kept costs nothing."""
    if not replied.again:
        serving.gate.write_down(ask.caller, resolved.model, resolved.version, units)
    return cached.told(replied)
