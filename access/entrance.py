"""Who comes in at a door, and what their errors there lead to, in words that every door shares."""

from __future__ import annotations

import re
import threading
import uuid

from access import networks
from access.callers import Callers
from access.conduct import Conduct
from access.keys import Caller
from core import errors

#: What the caller may not be to blame for, and what a refusal of ours leads to by itself.
BLAMELESS = (
    errors.ModelError, errors.TimedOut, errors.ToleranceNotMet, errors.TooManyRequests, errors.Blocked,
)  # fmt: skip
#: Of a network that is blocked, so many are looked up at a time.
_FROM_BLOCKED = threading.BoundedSemaphore(2)
_KEY_ID = re.compile(r"cck_[0-9a-f]{12}")


def verified(conduct: Conduct, callers: Callers, token: str | None, address: str) -> Caller:
    """Who shows this and comes from there. From a network that is blocked those are let in whose key opens something;
    few are looked up at a time, so that a flood from there costs nobody else much.

    Raises Blocked, Unauthorized, Forbidden, Unavailable.
    """
    blocked = conduct.refusal(f"address:{networks.of(address)}")
    if blocked is None:
        return callers.verify(token, address)
    if not _FROM_BLOCKED.acquire(blocking=False):
        raise blocked
    try:
        return callers.verify(token, address)
    except errors.Unauthorized as error:
        raise blocked from error
    finally:
        _FROM_BLOCKED.release()


def failed(
    conduct: Conduct, subject: str, tenant_id: uuid.UUID | None, weight: float, error: object, shown: str
) -> int:
    """Count a request of somebody that failed by this error, if that is any fault of theirs; `shown` is what they came
    with where it opened nothing. Returns how long to tell them to wait, in seconds; 0 for who need not."""
    if not weight or isinstance(error, BLAMELESS):
        return 0
    tried = _KEY_ID.search(shown)
    return conduct.failed(subject, tenant_id, weight, tried=tried[0] if tried else "")
