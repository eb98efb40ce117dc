"""Predictions: made at once where the model is light, otherwise through a job that is waited for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from core import errors, ids
from inference.output import Label
from jobs import idempotency, submit
from jobs.job import ReturnErrors, Status
from jobs.kinds.predict import in_place
from jobs.result import Fault, Result, Several
from registry.versions import Resolved
from serving import accept, inline, inputs, once, replies, retrieve
from serving.serving import Serving
from serving.values import Answer, Answers, Ask, Order, Patience, Preference, Replied, Reply, Served, Ticket

#: How a job may end for its input's sake; any other failure is ours.
_INPUTS_FAULT = {errors.ModelError.code: errors.ModelError, errors.TimedOut.code: errors.TimedOut}


def one(
    serving: Serving, ask: Ask, raw: object, *, explain: Sequence[str | None], wants: Preference, patience: Patience
) -> Replied[Reply]:
    """The answer to one input, or the ticket of its job if that is preferred or takes too long. `explain` is what was
    asked for in each place where it can be.

    Raises InvalidInput, ModelNotFound, VersionNotFound, ModelError, TimedOut, JobFailed, BacklogFull, Unavailable.
    """
    resolved = inputs.takes_rows(serving.resolve(ask))
    level = inputs.explain(resolved, *explain)
    row = inputs.one(resolved.manifest, raw)

    def answer(said: Label) -> Answer:
        return Answer(said, level, Served.by(resolved), ask.request_id)

    if resolved.manifest.inline and not wants.respond_async:
        return once.replied(serving.engine, ask.key, lambda: answer(inline.one(serving, resolved, row)))
    new = accept.new(serving, ask, Order(), resolved, row, {"explain": level})
    by_job = _ByAJob(serving, ask, resolved, wants, patience, lambda said: answer(cast(Label, said)))
    return by_job.reply(new)


def several(
    serving: Serving,
    ask: Ask,
    raw: list[Any],
    *,
    return_errors: str,
    batch_size: int,
    wants: Preference,
    patience: Patience,
) -> Replied[Reply]:
    """The same of several inputs, so many in one run at most; raises as `one`, and BatchTooLarge."""
    resolved = inputs.takes_rows(serving.resolve(ask))
    rows, refused = inputs.many(resolved.manifest, raw, return_errors, most=serving.settings.api.max_batch_items)

    def answers(said: Sequence[Label | Fault]) -> Answers:
        return Answers(said, Served.by(resolved), ask.request_id)

    def at_once() -> Answers:
        individual = return_errors == ReturnErrors.INDIVIDUAL
        made = inline.several(serving, resolved, rows, batch_size, individual=individual)
        return answers(in_place(made, refused))

    if not rows or (resolved.manifest.inline and not wants.respond_async):
        return once.replied(serving.engine, ask.key, at_once)
    options = {"explain": "", "return_errors": return_errors, "refused": refused}
    new = accept.new(serving, ask, Order(), resolved, rows, options)
    return _ByAJob(serving, ask, resolved, wants, patience, lambda said: answers(cast(Several, said).items)).reply(new)


@dataclass(frozen=True)
class _ByAJob:
    """A prediction that takes a job: whose, how it is waited for, and what its result is as an answer."""

    serving: Serving
    ask: Ask
    resolved: Resolved
    wants: Preference
    patience: Patience
    answer: Callable[[Result | None], Reply]

    def reply(self, new: submit.NewJob) -> Replied[Reply]:
        """Hand it in, unless the key stands for one already, and wait for it."""
        key, submitter = self.ask.key, self.serving.submitter
        ticket = self._ticket(new.id, Status.PENDING, 0.0) if self.wants.respond_async else None
        # What the key stands for already needs no room, of which a full backlog has none.
        earlier = idempotency.find(self.serving.engine, key) if key else None
        earlier = earlier or submitter.submit(new, key, replies.kept(ticket) if ticket and key else None)
        if done := once.earlier(earlier):
            return done
        if ticket and earlier is None:
            return Replied(ticket)
        return Replied(self._outcome(earlier.job_id if earlier and earlier.job_id else new.id))

    def _outcome(self, job_id: uuid.UUID) -> Reply:
        """The answer of a job that completed in time, else its ticket; raises ModelError, TimedOut or JobFailed for one
        that ended otherwise."""
        wait_s = self.serving.settings.api.default_wait_s if self.wants.wait_s is None else self.wants.wait_s
        wait_s = 0.0 if self.wants.respond_async else wait_s
        found = retrieve.wait(self.serving, self.ask.caller.tenant_id, job_id, wait_s, self.patience)
        if not found.status.is_terminal:
            return self._ticket(job_id, found.status, wait_s)
        if found.status is not Status.COMPLETED:
            error = found.error or {}
            raise _INPUTS_FAULT.get(error.get("code", ""), errors.JobFailed)(
                f"The job ended as {found.status}: {error.get('message', '')}",
                details={"job_id": ids.job_id(job_id), "status": found.status, "code": error.get("code")},
            )
        return self.answer(retrieve.loaded(self.serving, found).result)

    def _ticket(self, job_id: uuid.UUID, status: Status, waited_s: float) -> Ticket:
        applied = "respond-async" if self.wants.respond_async else f"wait={waited_s:g}"
        said = applied if self.wants.said else None
        return Ticket(job_id, status, Served.by(self.resolved), self.ask.request_id, said)
