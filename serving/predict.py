"""Predictions: made at once where the model is light, otherwise through a job that is waited for."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from inference.output import Said
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

    if manifest.inline and not wants.respond_async:
        run = functools.partial(inline.one, serving, ask.caller, resolved, row)
        made = once.replied(serving.engine, ask.key, lambda: answer(*_timed(ask, lambda: cached.one(row, run))))
        return _written_down(serving, ask, resolved, made, 1, cached)
    # A key stands for a job, and nobody waits for a ticket.
    if ask.key is None and not wants.respond_async and (found := cached.get(row)) is not None:
        return _written_down(serving, ask, resolved, Replied(answer(*_timed(ask, lambda: found))), 1, cached)
    new = accept.new(serving, ask, Order(), resolved, row, {"explain": level})
    by_job = Waited(
        serving, ask, resolved, wants, patience, lambda said, timing: answer(cached.keep(row, cast(Said, said)), timing)
    )
    return dataclasses.replace(by_job.reply(new), found=cached.found)


def several(
    serving: Serving,
    ask: Ask,
    raw: list[Any],
    *,
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
        rows, refused = inputs.many(inputs.takes_rows(resolved).manifest, raw, return_errors, most=most)
    cached = Cached(serving, ask, resolved, "")

    def answers(said: Sequence[Said | Fault], timing: Timing) -> Answers:
        return Answers(said, Served.by(resolved), ask.request_id, timing)

    def at_once() -> Answers:
        individual = return_errors == ReturnErrors.INDIVIDUAL
        run = functools.partial(inline.several, serving, ask.caller, resolved, size=batch_size, individual=individual)
        made, timing = _timed(ask, lambda: cached.several(rows, run))
        return answers(in_place(made, refused), timing)

    if not rows or (resolved.manifest.inline and not wants.respond_async):
        replied = once.replied(serving.engine, ask.key, at_once)
        answered = sum(not isinstance(said, Fault) for said in cast(Answers, replied.value).said)
        return _written_down(serving, ask, resolved, replied, answered, cached)
    options = {"explain": "", "return_errors": return_errors, "refused": refused}
    new = accept.new(serving, ask, Order(), resolved, rows, options)
    by_job = Waited(
        serving, ask, resolved, wants, patience, lambda said, timing: answers(cast(Several, said).items, timing)
    )
    return dataclasses.replace(by_job.reply(new), found=cached.found)


def _timed(ask: Ask, run: Callable[[], T]) -> tuple[T, Timing]:
    """What it gives, with how long that took since it was asked."""
    began = time.perf_counter()
    found = run()
    queued_s, total_s = began - ask.began, time.perf_counter() - ask.began
    return found, Timing(queued_s * 1000, (total_s - queued_s) * 1000, total_s * 1000)


def _written_down(
    serving: Serving, ask: Ask, resolved: Resolved, replied: Replied[Reply], answered: int, cached: Cached
) -> Replied[Reply]:
    """What it cost, unless an earlier request under the same key has paid for it; what was kept costs nothing."""
    if not replied.again:
        serving.gate.write_down(
            ask.caller, resolved.model, resolved.version, resolved.manifest.units * (answered - cached.hits)
        )
    return dataclasses.replace(replied, found=cached.found)
