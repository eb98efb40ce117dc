"""Jobs that were handed in: waited for, looked at, and taken back. Another tenant's job is one that does not exist."""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from typing import Any

from core import broker, database
from jobs import kinds, place, queries, result
from jobs.bulk import progress
from jobs.bulk.progress import Done, Rows
from jobs.job import Job, Status
from jobs.place import Place
from jobs.queries import Filters, Page
from jobs.result import Stored
from serving.serving import Serving
from serving.values import Patience


@dataclass(frozen=True)
class Detail:
    """A job with all that there is to say of it: of one in parts how many rows, of one that waits its place in the
    queue."""

    job: Job
    rows: Rows | None
    place: Place | None


def find(serving: Serving, tenant_id: uuid.UUID, job_id: uuid.UUID) -> Job:
    """Raises JobNotFound."""
    return queries.get(serving.engine, tenant_id, job_id)


def page(serving: Serving, tenant_id: uuid.UUID, *, limit: int, cursor: str | None, **filters: Any) -> Page:
    """The tenant's jobs, newest first, of those that the `filters` (the fields of `queries.Filters`) let through;
    raises InvalidInput for a cursor that is none of ours."""
    return queries.page(serving.engine, tenant_id, Filters(**filters), limit=limit, cursor=cursor)


def wait(serving: Serving, tenant_id: uuid.UUID, job_id: uuid.UUID, timeout_s: float, patience: Patience) -> Job:
    """The job once it ended, or as it is when the time or the room for waiting has run out; raises JobNotFound, and
    what `patience` raises."""
    if timeout_s <= 0 or not patience.begin():
        return find(serving, tenant_id, job_id)
    return queries.wait(serving.engine, tenant_id, job_id, timeout_s, look_again=patience.look_again)


def detail(serving: Serving, tenant_id: uuid.UUID, found: Job) -> Detail:
    """Raises Unavailable."""
    counted = progress.count(serving.engine, found.id) if kinds.find(found.kind).in_parts else None
    stands = place.place(serving.engine, tenant_id, found) if found.status is Status.PENDING else None
    return Detail(found, counted, stands)


def parts(serving: Serving, found: Job, *, after: int, limit: int) -> tuple[list[Done], int | None]:
    """What is done of a job in order, those behind part `after`; and the last of them if more may follow."""
    done = progress.parts(serving.engine, found.id, after=after, limit=limit)
    return done, done[-1].number if len(done) == limit else None


def cancel(serving: Serving, tenant_id: uuid.UUID, job_id: uuid.UUID) -> Job:
    """The job, canceled or asked to stop; whoever is to be told is woken. Raises JobNotFound, JobStateConflict."""
    canceled = queries.cancel(serving.engine, tenant_id, job_id)
    serving.hints.send(broker.WEBHOOKS)
    return canceled


def loaded(serving: Serving, found: Job) -> Job:
    """The job with its result, wherever that is; raises Unavailable."""
    if not isinstance(found.result, Stored):
        return found
    kept = found.result
    data = serving.store.get(kept.said_key if serving.store.head(kept.said_key) else kept.stored_key)
    return dataclasses.replace(found, result=result.load(database.loads(data.decode())))
