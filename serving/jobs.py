"""Jobs: handed in, and handed in again."""

from __future__ import annotations

import uuid
from typing import Any

from core import errors, ids
from jobs import kinds, queries, reseal
from jobs.bulk import progress
from jobs.job import Job, Status
from jobs.payloads import FailedRows
from serving import accept, once
from serving.serving import Serving
from serving.values import Ask, Order, Replied, Reply, Served, Ticket


def submit(serving: Serving, ask: Ask, order: Order) -> Replied[Reply]:
    """The ticket of a job that is stored, or what the key already stands for.

    Raises InvalidInput, Forbidden, BatchTooLarge, UploadNotFound, all that looking at a signed URL can raise, and what
    `Submitter.submit` raises.
    """
    if done := once.before(serving.engine, ask.key):
        return done
    if order.webhook_url is not None:
        serving.receivers.parse(order.webhook_url, "webhook_url")
    new, resolved = accept.job(serving, ask, order)
    ticket = Ticket(new.id, Status.PENDING, Served.by(resolved), ask.request_id)
    found = once.store(serving, new, ask.key, once.kept(ask.key, ticket))
    return once.earlier(found) or Replied(ticket)


def again(serving: Serving, ask: Ask, job_id: uuid.UUID, *, failed_rows: bool = False) -> Replied[Reply]:
    """The ticket of an ended job's successor, with the same inputs and the same version; of a file all rows, or only
    those that failed.

    Raises JobNotFound, Forbidden, JobStateConflict, InvalidInput, BacklogFull.
    """
    if done := once.before(serving.engine, ask.key):
        return done
    tenant_id = ask.caller.tenant_id
    old = queries.get(serving.engine, tenant_id, job_id)
    ask.caller.bounds.check_model(old.model)
    if not kinds.find(old.kind).repeats:
        raise errors.JobStateConflict("What was to be published is published anew, by POST /api/models")
    # What was allowed when the job was made may not be now; who had the default has that of today.
    had_default = old.timeout_s == serving.settings.jobs.run_timeout_s
    timeout_s = accept.timeout_s(serving, ask, None if had_default else old.timeout_s)
    new_id = ids.uuid7(serving.clock.now_s())
    inputs = _failed_rows(serving, old) if failed_rows else None
    inputs = inputs or reseal.copied(serving.engine, serving.seal, old, new_id, tenant_id=tenant_id)
    served = Served.by(serving.catalog.resolve(old.model, old.version))
    ticket = Ticket(new_id, Status.PENDING, served, ask.request_id)
    with serving.gate.spending(ask.caller, old.cost) as bill:
        found = serving.submitter.again(
            old,
            new_id,
            caller=ask.caller,
            request_id=ask.request_id,
            max_attempts=serving.settings.jobs.max_attempts,
            timeout_s=timeout_s,
            inputs=inputs,
            key=ask.key,
            reply=once.kept(ask.key, ticket),
        )
        bill.units = 0 if found else old.cost
    return once.earlier(found) or Replied(ticket)


def _failed_rows(serving: Serving, old: Job) -> dict[str, Any] | None:
    """The inputs of a job that answers what an ended one did not, None for the same ones again: it answered nothing.

    Raises InvalidInput, JobStateConflict.
    """
    if not kinds.find(old.kind).in_parts:
        raise errors.InvalidInput.field("rows", "is for jobs that were made from a file of rows")
    count = progress.count(serving.engine, old.id)
    if old.status is Status.COMPLETED and count.failed == 0:
        raise errors.JobStateConflict("No row of this job has failed", details={"field": "rows", "issue": "0 failed"})
    return FailedRows(old.id).to_json() if count.total else None
