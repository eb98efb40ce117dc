"""What receivers can be told of."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any

from core import database


class Event(enum.StrEnum):
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELED = "job.canceled"
    EXPIRED = "job.expired"
    PROGRESS = "job.progress"  #: best effort: at most every five seconds, tried once
    DISABLED = "webhook.disabled"  #: the platform has switched off another endpoint of the tenant
    WARNED = "access.warned"  #: a caller, of whatever tenant, makes errors again and again
    SLOWED = "access.slowed"
    BLOCKED = "access.blocked"
    ROLLED_BACK = "routes.canary_rolled_back"  #: a canary of any model has ended
    PROMOTED = "routes.canary_promoted"
    # Of the tenant's month; access.quota says when.
    QUOTA_WARNING = "quota.warning"
    QUOTA_REACHED = "quota.reached"
    QUOTA_EXCEEDED = "quota.exceeded"
    TEST = "webhook.test"  #: only when it is asked for


#: What a receiver is told if it does not say.
ENDS = (Event.COMPLETED, Event.FAILED, Event.CANCELED, Event.EXPIRED)
QUOTA = (Event.QUOTA_WARNING, Event.QUOTA_REACHED, Event.QUOTA_EXCEEDED)
#: What only an operator's endpoint may ask for, being of all tenants; the database writes them (migrations 0013, 0015).
FOR_OPERATORS = (Event.WARNED, Event.SLOWED, Event.BLOCKED, Event.ROLLED_BACK, Event.PROMOTED)
#: What an endpoint may ask for, and what a job may.
FOR_ENDPOINTS = (*ENDS, Event.PROGRESS, Event.DISABLED, *QUOTA, *FOR_OPERATORS)
FOR_JOBS = (*ENDS, Event.PROGRESS)


def body(event: Event, data: Mapping[str, Any]) -> str:
    """The text of an event that no job made; those of jobs are written by the database (migration 0004)."""
    return database.dumps({"type": event, "timestamp": dt.datetime.now(dt.UTC), "data": data})
