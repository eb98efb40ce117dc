"""What a door asks, and what it is answered."""

from __future__ import annotations

import enum
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from access.keys import Caller
from inference.output import Said
from jobs.idempotency import Key
from jobs.job import Priority, Status, Timing
from jobs.result import Fault
from registry.routes import Unit
from registry.versions import Resolved

T = TypeVar("T")


class Found(enum.StrEnum):
    """Whether all answers were kept from before, or not, or could not have been."""

    HIT = "hit"
    MISS = "miss"
    BYPASS = "bypass"


@dataclass(frozen=True)
class Ask:
    """Who asks, and for which version of which model; None is the default one. Under a key it is done once."""

    caller: Caller
    request_id: str
    model: str | None = None
    version: str | None = None
    key: Key | None = None
    route_key: str | None = None  #: on whose behalf, where callers keep the version that they got
    cache: bool | None = None  #: whether a kept answer will do; None: as the model says
    tolerance: float | None = None  #: within which reasons that take questions are wanted; None: as many as there are
    strict: bool = False  #: whether they are refused where that cannot be had
    began: float = field(default_factory=time.perf_counter)  #: when it came, as that clock counts
    ends_at: float = math.inf  #: when who asks waits no longer, as the monotonic clock counts

    @property
    def unit(self) -> Unit:
        """What rules of a model decide for."""
        return Unit(self.request_id, self.route_key or self.caller.party)

    @property
    def is_over(self) -> bool:
        """Whether who asks waits no longer."""
        return time.monotonic() >= self.ends_at


@dataclass(frozen=True)
class Preference:
    """How long to wait for a prediction that needs a job: not at all, so many seconds, or as is usual. `said` is
    whether the client said anything."""

    respond_async: bool = False
    wait_s: float | None = None
    said: bool = False


@dataclass(frozen=True)
class Order:
    """A job that is to be made of inputs (one, or a list) or of one file; what is None was not said."""

    inputs: Any = None
    upload_id: str | None = None  #: as it was told to the client
    input_url: str | None = None
    output_url: str | None = None
    explain: str | None = None
    return_errors: str | None = None
    format: str | None = None  #: how rows of a file are written: jsonl or csv
    priority: str = Priority.NORMAL
    expires_in_s: int | None = None
    timeout_s: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    webhook_url: str | None = None
    webhook_events: Sequence[str] | None = None

    @property
    def has_file(self) -> bool:
        return self.upload_id is not None or self.input_url is not None


class Patience(Protocol):
    """What a door lends to who waits."""

    def begin(self) -> bool:
        """Whether there is room for one more to wait."""

    def look_again(self) -> object:
        """Raises what ends the waiting: a key that was revoked."""


@dataclass(frozen=True)
class Served:
    """The version that answered, and why it did: `pinned`, `canary NAME`, `experiment NAME/VARIANT` or `stable`."""

    model: str
    version: str
    route: str

    @classmethod
    def by(cls, resolved: Resolved) -> Served:
        return cls(resolved.model, resolved.version, resolved.route)


@dataclass(frozen=True)
class Ticket:
    """A job that was accepted and has not ended; `applied` is which of the client's preferences that follows."""

    job_id: uuid.UUID
    status: Status
    served: Served
    request_id: str
    applied: str | None = None


@dataclass(frozen=True)
class Answer:
    """What was said to one input; `explain` is the level of explanation that was asked for, and `timing` how long it
    took, which earlier releases did not keep with a key."""

    said: Said
    explain: str
    served: Served
    request_id: str
    timing: Timing | None = None


@dataclass(frozen=True)
class Answers:
    """What was said to each of several inputs, in their order: a prediction or an error."""

    said: Sequence[Said | Fault]
    served: Served
    request_id: str
    timing: Timing | None = None
    explain: str = ""


Reply = Ticket | Answer | Answers


@dataclass(frozen=True)
class Replied(Generic[T]):
    """A reply, whether an earlier request under the same key has made it, and whether it was kept, for who asked."""

    value: T
    again: bool = False
    found: Found | None = None
