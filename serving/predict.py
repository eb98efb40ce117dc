"""Predictions: made at once where the model is light, otherwise through a job that is waited for."""

from __future__ import annotations

import dataclasses
import functools
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from core import errors
from inference.output import Said, is_whole
from jobs import kinds, submit
from jobs.job import ReturnErrors, Status, Timing
from jobs.kinds.predict import in_place
from jobs.result import Fault, Several
from registry.versions import Resolved
from serving import accept, inline, inputs, once, retrieve
from serving.cached import Cached
from serving.serving import Serving
from serving.values import Answer, Answers, Ask, Order, Patience, Preference, Replied, Reply, Served, Ticket
from serving.waited import Made, Waited

T = TypeVar("T")
R = TypeVar("R", bound=Reply)


def one(
    serving: Serving, ask: Ask, raw: object, *, explain: Sequence[str | None], wants: Preference, patience: Patience
) -> Replied[Reply]:
    """The answer to one input, or the ticket of its job if that is preferred or takes too long. `explain` is what was
    asked for in each place where it can be.

    Raises InvalidInput, Forbidden, ModelNotFound, VersionNotFound, ModelError, TimedOut, JobFailed, BacklogFull,
    Unavailable.
    """
    resolved = inputs.resolve(serving, ask)
    with inputs.asked_of(resolved):
        manifest = inputs.takes_rows(resolved).manifest
        level, row = inputs.explain(resolved, ask, *explain), inputs.one(manifest, raw)
        asked = _Asked(serving, ask, resolved, level)

        def told(made: Made) -> Answer:
            said = cast(Said, made.result)
            # What an earlier request's job came to may be of another version.
            kept = cached.keep(row, said) if made.served.version == resolved.version else said
            return Answer(kept, made.explain, made.served, made.request_id, made.timing)

        cached, waited = asked.cached, asked.waited(wants, patience, told)
        if asked.is_answered_at_once(wants):
            replied = once.replied(serving.engine, ask.key, lambda: asked.answer(row), waited.again)
            return asked.written_down(replied, 0 if cached.hits else manifest.cost(level))
        # A key stands for a job, and nobody waits for a ticket.
        if ask.key is not None or wants.respond_async:
            return asked.by_job(waited, row, {})
        if (kept := cached.get(row)) is not None:
            return asked.written_down(Replied(asked.as_answer(row, lambda: kept)), 0)
        return asked.by_a_job_for_all(waited, row)


def at_once(serving: Serving, ask: Ask, resolved: Resolved, raw: object) -> Replied[Answer]:
    """The answer of this version, which is inline, to one input, without reasons and for who has no key for it. Raises
    InvalidInput, ModelError, TimedOut, RateLimited, RequestTooCostly, QuotaExceeded, and what opening it raises."""
    with inputs.asked_of(resolved):
        row, asked = inputs.one(resolved.manifest, raw), _Asked(serving, ask, resolved, "")
        replied = Replied(asked.answer(row))
        return asked.written_down(replied, 0 if asked.cached.hits else resolved.manifest.cost(""))


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
    with inputs.asked_of(resolved):
        manifest = inputs.takes_rows(resolved).manifest
        level = inputs.explain(resolved, ask, explain)
        rows, refused = inputs.many(manifest, raw, return_errors, most=inputs.most(manifest, level, most))
        asked = _Asked(serving, ask, resolved, level)

        def told(made: Made) -> Answers:
            return Answers(cast(Several, made.result).items, made.served, made.request_id, made.timing, made.explain)

        waited = asked.waited(wants, patience, told)
        if rows and not asked.is_answered_at_once(wants):
            return asked.by_job(waited, rows, {"return_errors": return_errors, "refused": refused})
        individual, cached = return_errors == ReturnErrors.INDIVIDUAL, asked.cached
        run = functools.partial(
            inline.several, serving, ask, resolved, size=batch_size, explain=level, individual=individual
        )

        def at_once() -> Answers:
            made, timing = asked.timed(rows, lambda: cached.several(rows, run))
            return Answers(in_place(made, refused), Served.by(resolved), ask.request_id, timing, level)

        replied = once.replied(serving.engine, ask.key, at_once, waited.again)
        said = replied.value.said if isinstance(replied.value, Answers) else ()
        answered = sum(not isinstance(item, Fault) for item in said)
        return asked.written_down(replied, manifest.cost(level) * (answered - cached.hits))


class _Asked:
    """What is asked of one version and at which level it is to explain itself, with all that goes on around a run:
    kept answers, time, shadows, the ledger."""

    def __init__(self, serving: Serving, ask: Ask, resolved: Resolved, level: str) -> None:
        self._serving, self._ask, self._resolved, self._level = serving, ask, resolved, level
        self._apart = resolved.manifest.asked_apart(level)
        self.cached = Cached(serving, ask, resolved, level)

    def is_answered_at_once(self, wants: Preference) -> bool:
        return self._resolved.manifest.inline and not wants.respond_async and not self._apart

    def answer(self, row: Mapping[str, Any]) -> Answer:
        """To one input, made here or kept."""
        run = functools.partial(inline.one, self._serving, self._ask, self._resolved, row, self._level)
        return self.as_answer(row, lambda: self.cached.one(row, run))

    def as_answer(self, row: Mapping[str, Any], run: Callable[[], Said]) -> Answer:
        [said], timing = self.timed([row], lambda: [run()])
        return Answer(said, self._level, Served.by(self._resolved), self._ask.request_id, timing)

    def waited(self, wants: Preference, patience: Patience, told: Callable[[Made], Reply]) -> Waited:
        """How its job is waited for, if it takes one."""
        return Waited(self._serving, self._ask, self._resolved, wants, patience, told)

    def by_job(self, waited: Waited, given: object, options: Mapping[str, object]) -> Replied[Reply]:
        """By a job that is waited for, or its ticket."""
        return self.cached.told(waited.reply(self._job(given, options)))

    def by_a_job_for_all(self, waited: Waited, row: Mapping[str, Any]) -> Replied[Reply]:
        """The same, by the one job of all who ask the same, where kept answers will do: whoever came later pays
        nothing."""

        def hand_in() -> uuid.UUID:
            new = self._job(row, {})
            once.store(self._serving, new, None, None)
            return new.id

        said = waited.outcome(self.cached.job(row, hand_in, self._answers))
        if not self.cached.hits:
            return self.cached.told(Replied(said))
        mine = dataclasses.replace(said, served=Served.by(self._resolved), request_id=self._ask.request_id)
        return self.cached.told(Replied(mine)) if isinstance(mine, Ticket) else self.written_down(Replied(mine), 0)

    def _answers(self, job_id: uuid.UUID) -> bool:
        """Whether a job that was handed in earlier has an answer that could be kept, or is to have one."""
        try:
            found = retrieve.find(self._serving, self._ask.caller.tenant_id, job_id)
        except errors.JobNotFound:
            return False
        if found.status is Status.COMPLETED:
            return is_whole(retrieve.loaded(self._serving, found).result)
        return not found.status.is_terminal

    def _job(self, given: object, options: Mapping[str, object]) -> submit.NewJob:
        kind = kinds.EXPLAIN if self._apart else kinds.PREDICT
        told = {"explain": self._level, **accept.within(self._ask), **options}
        return accept.new(self._serving, self._ask, Order(), self._resolved, given, told, kind=kind)

    def timed(self, rows: Sequence[Any], run: Callable[[], list[T]]) -> tuple[list[T], Timing]:
        """What it gives, with how long that took since it was asked. Shadows are to be asked the same afterwards."""
        ask, mirrors, offer = self._ask, self._resolved.mirrors, self._serving.shadows.offer
        asked = self._resolved.model, self._resolved.version, ask.request_id
        began = time.perf_counter()
        try:
            found = run()
        except (errors.ModelError, errors.TimedOut) as error:
            if not ask.is_over:
                offer(mirrors, asked, rows, [error] * len(rows))
            raise
        queued_s, total_s = began - ask.began, time.perf_counter() - ask.began
        timing = Timing(queued_s * 1000, (total_s - queued_s) * 1000, total_s * 1000)
        # What was kept took no time that a shadow's could be held against.
        offer(mirrors, asked, rows, found, ms=timing.ran_ms if len(rows) == 1 and not self.cached.hits else None)
        return found, timing

    def written_down(self, replied: Replied[R], units: int) -> Replied[R]:
        """What it cost, unless an earlier request under the same key has paid for it; what was kept costs nothing."""
        if not replied.again:
            self._serving.gate.write_down(self._ask.caller, self._resolved.model, self._resolved.version, units)
        return self.cached.told(replied)
