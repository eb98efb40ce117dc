"""The words of a job's life, and a job as a value."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import operator
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import errors
from jobs.result import Result, Several, load, with_faults


class Status(enum.StrEnum):
    PENDING = "pending"  #: accepted, waiting for a worker
    PROCESSING = "processing"  #: a worker holds its lease
    COMPLETED = "completed"  #: the result is stored
    FAILED = "failed"  #: not retryable, or every attempt spent
    CANCELED = "canceled"  #: taken back before it ended
    EXPIRED = "expired"  #: not done by expires_at

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.EXPIRED})


class Ended(enum.StrEnum):
    """Codes of a job's error that the database itself writes."""

    EXPIRED = "EXPIRED"  #: not done by expires_at
    WORKER_LOST = "WORKER_LOST"  #: so many workers died of it, or its last attempt's did


class ReturnErrors(enum.StrEnum):
    """What becomes of the job when one of its inputs has no answer."""

    FAIL_FAST = "fail_fast"  #: it fails
    INDIVIDUAL = "individual"  #: the input has an error in its place


class Priority(enum.StrEnum):
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


#: Seconds that a priority adds to `fair_at`: an offset, not a wall, so that everything ages to the front.
PRIORITY_OFFSET_S = {Priority.HIGH: -5.0, Priority.NORMAL: 0.0, Priority.LOW: 60.0}


@dataclass(frozen=True)
class Timing:
    """How long it waited until it first began, how long it took since then, and both, in milliseconds; None of what is
    not over."""

    queued_ms: float | None
    ran_ms: float | None
    total_ms: float | None


@dataclass(frozen=True)
class Job:
    """One job as its tenant may see it; `result` is there once it is completed. A list has neither that nor `options`
    nor `timeline`."""

    id: uuid.UUID
    kind: str  #: of `jobs.kinds`
    pool: str
    model: str
    version: str
    status: Status
    priority: Priority
    progress: int
    attempt: int
    lost_count: int
    timeout_s: int
    cost: int  #: in units
    metadata: Mapping[str, Any]
    error: Mapping[str, Any] | None
    request_id: str
    retry_of: uuid.UUID | None
    created_at: dt.datetime
    fair_at: dt.datetime
    not_before: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    expires_at: dt.datetime
    cancel_requested: bool
    route: str | None = None  #: why it is this version; unknown of jobs from before there were rules
    options: Mapping[str, Any] = field(default_factory=dict)
    result: Result | None = None
    timeline: Sequence[Mapping[str, Any]] | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Job:
        words = {"status": Status(row["status"]), "priority": Priority(row["priority"])}
        found = load(row["result"]) if row.get("result") is not None else None
        if isinstance(found, Several) and (faults := (row.get("options") or {}).get("faults")):
            found = with_faults(found, faults)
        return cls(**{**row, **words, "result": found})

    @property
    def timing(self) -> Timing:
        made, began, ended = self.created_at, self.started_at, self.finished_at
        return Timing(_ms(made, began or ended), None if began is None else _ms(began, ended), _ms(made, ended))

    def conflict(self, verb: str) -> errors.JobStateConflict:
        """What to raise when its state forbids what was asked."""
        return errors.JobStateConflict(
            f"A job that is {self.status} cannot be {verb}", details={"field": "status", "issue": f"is {self.status}"}
        )


def _ms(since: dt.datetime, until: dt.datetime | None) -> float | None:
    return None if until is None else (until - since) / dt.timedelta(milliseconds=1)


@dataclass(frozen=True)
class Claimed:
    """A job in a worker's hands; `attempt` is the fence that every write must show."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    kind: str  #: of `jobs.kinds`
    attempt: int
    max_attempts: int
    model: str
    version: str
    timeout_s: int  #: how long this attempt may run
    inputs: Any  #: as its kind reads it
    options: Mapping[str, Any]
    request_id: str
    key_id: str | None = None  #: of whoever handed it in
    notifies: bool = False  #: somebody wants to be told of it
    route: str | None = None  #: why it is this version, where that was decided for this job
    created_at: dt.datetime | None = None
    claimed_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Claimed:
        return cls(*_OF_CLAIMED(row))


_OF_CLAIMED = operator.itemgetter(*(item.name for item in dataclasses.fields(Claimed)))
