"""A prediction through a job that is waited for: its answer if it ends in time, else its ticket."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core import errors, ids
from jobs import idempotency, submit
from jobs.job import Job, Status, Timing
from registry.versions import Resolved
from serving import once, replies, retrieve
from serving.serving import Serving
from serving.values import Ask, Patience, Preference, Replied, Reply, Served, Ticket

#: How a job may end for its input's sake; any other failure is ours.
_INPUTS_FAULT: dict[str, type[errors.CoatcheckError]] = {
    kind.code: kind
    for kind in (
        errors.ModelError, errors.InputRefused, errors.TimedOut, errors.ToleranceNotMet,
        errors.InputUnreadable, errors.InputTooLarge, errors.BatchTooLarge,
    )
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """What a job came to: its result, with reasons on which level, by which version, for which request, and how long
    that took."""

    result: Any
    explain: str
    served: Served
    request_id: str
    timing: Timing


@dataclass(frozen=True)
class Waited:
    """Whose it is, how it is waited for, and what becomes of what it made as an answer."""

    serving: Serving
    ask: Ask
    resolved: Resolved
    wants: Preference
    patience: Patience
    answer: Callable[[Made], Reply]

    def reply(self, new: submit.NewJob) -> Replied[Reply]:
        """Hand it in, unless the key stands for one already, and wait for it."""
        key = self.ask.key
        served, mine = Served.by(self.resolved), self.ask.request_id
        ticket = self._ticket(new.id, Status.PENDING, served, mine, 0.0) if self.wants.respond_async else None
        # What the key stands for already needs no room, of which a full backlog has none.
        earlier = idempotency.find(self.serving.engine, key) if key else None
        earlier = earlier or once.store(self.serving, new, key, replies.kept(ticket) if ticket and key else None)
        if done := once.earlier(earlier):
            return done
        if ticket and earlier is None:
            return Replied(ticket)
        if earlier and earlier.job_id:
            return self.again(earlier.job_id)
        return Replied(self.outcome(new.id))

    def again(self, job_id: uuid.UUID) -> Replied[Reply]:
        """What comes of a job that an earlier request under the same key has made, perhaps of another version."""
        return Replied(self.outcome(job_id), again=True)

    def outcome(self, job_id: uuid.UUID) -> Reply:
        """The answer of a job that completed in time, else its ticket; raises ModelError, TimedOut, ToleranceNotMet or
        JobFailed for one that ended otherwise."""
        wait_s = self.serving.settings.api.default_wait_s if self.wants.wait_s is None else self.wants.wait_s
        wait_s = 0.0 if self.wants.respond_async else wait_s
        found = retrieve.wait(self.serving, self.ask.caller.tenant_id, job_id, wait_s, self.patience)
        served = Served(found.model, found.version, found.route or self.resolved.route)
        if not found.status.is_terminal:
            return self._ticket(job_id, found.status, served, found.request_id, wait_s)
        if found.status is not Status.COMPLETED:
            raise _ended_otherwise(found, served)
        result, level = retrieve.loaded(self.serving, found).result, str(found.options.get("explain", ""))
        return self.answer(Made(result, level, served, found.request_id, found.timing))

    def _ticket(self, job_id: uuid.UUID, status: Status, served: Served, request_id: str, waited_s: float) -> Ticket:
        applied = "respond-async" if self.wants.respond_async else f"wait={waited_s:g}"
        said = applied if self.wants.said else None
        return Ticket(job_id, status, served, request_id, said)


def _ended_otherwise(found: Job, served: Served) -> errors.CoatcheckError:
    """What is said of a job without an answer, and of which version it was asked."""
    said, job_id = found.error or {}, ids.job_id(found.id)
    where = {name: value for name, value in said.get("details", {}).items() if name in ("field", "issue")}
    error = _INPUTS_FAULT.get(said.get("code", ""), errors.JobFailed)(
        f"The job ended as {found.status}: {said.get('message', '')}",
        details={**where, "job_id": job_id, "status": found.status, "code": said.get("code")},
    )
    error.served = served.version, served.route
    return error
