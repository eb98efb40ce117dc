"""The log of deliveries, and asking for some again."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import errors, ids
from webhooks import endpoints
from webhooks.endpoints import Endpoint
from webhooks.events import Event, body

#: So many at a time are asked for again; the answer says where to go on.
MOST_AGAIN = 10_000

_COLUMNS = """id, sequence, endpoint_id, url, job_id, event, status,
  (SELECT count(*) FROM webhook_attempts WHERE delivery_id = webhook_deliveries.id) AS attempts,
  next_at, last_status, last_error, created_at, finished_at"""
_GET = text(f"SELECT {_COLUMNS}, body FROM webhook_deliveries WHERE id = :id AND tenant_id = :tenant_id")  # noqa: S608
_ATTEMPTS = text("""
SELECT row_number() OVER (ORDER BY attempt) AS attempt, at, ms, status, error, response
FROM webhook_attempts WHERE delivery_id = :id ORDER BY attempt
""")
_INSERT = text("""
INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, target, event, body)
VALUES (:id, :tenant_id, :endpoint_id, :target, :event, :body)
""")
_AGAIN = """
UPDATE webhook_deliveries SET status = 'pending', tries_before = attempt, next_at = now(), since = now(),
  finished_at = NULL
"""
_ONE_AGAIN = text(f"""
{_AGAIN} WHERE id = :id AND tenant_id = :tenant_id AND finished_at IS NOT NULL RETURNING id
""")
_MANY_AGAIN = text(f"""
{_AGAIN} WHERE id = ANY (ARRAY(
  SELECT id FROM webhook_deliveries
  WHERE endpoint_id = :endpoint_id AND status = ANY (:statuses) AND created_at >= :since AND created_at < :until
    AND sequence > :after AND event <> ALL (:without)
  ORDER BY endpoint_id, sequence LIMIT :most FOR UPDATE)) RETURNING sequence
""")  # noqa: S608

_ENDED = ("delivered", "failed")
_CONDITIONS = {
    "endpoint_id": "endpoint_id = :endpoint_id",
    # As the two indexes of jobs say it, one of which has the progress.
    "job_id": "job_id = :job_id AND (event = 'job.progress' OR event <> 'job.progress')",
    "status": "status = :status",
    "event": "event = :event",
    "without": "event <> ALL (:without)",
    "before": "sequence < :before",
}


@dataclass(frozen=True)
class Delivery:
    """One event for one receiver; its id is the receiver's `webhook-id`. A list has no `body`."""

    id: uuid.UUID
    sequence: int
    endpoint_id: uuid.UUID | None
    url: str | None  #: of a job's own
    job_id: uuid.UUID | None
    event: str
    status: str
    attempts: int  #: calls in the log
    next_at: dt.datetime
    last_status: int | None
    last_error: str | None
    created_at: dt.datetime
    finished_at: dt.datetime | None
    body: str = ""


@dataclass(frozen=True)
class Attempt:
    attempt: int
    at: dt.datetime
    ms: int | None
    status: int | None
    error: str | None
    response: str | None


def get(engine: sqlalchemy.Engine, tenant_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    """Raises DeliveryNotFound."""
    with engine.connect() as connection:
        row = connection.execute(_GET, {"id": delivery_id, "tenant_id": tenant_id}).first()
    if row is None:
        raise errors.DeliveryNotFound
    return Delivery(**row._mapping)


def attempts(engine: sqlalchemy.Engine, delivery: Delivery) -> list[Attempt]:
    """Its calls, in order."""
    with engine.connect() as connection:
        return [Attempt(**row._mapping) for row in connection.execute(_ATTEMPTS, {"id": delivery.id})]


def page(
    engine: sqlalchemy.Engine, tenant_id: uuid.UUID, filters: Mapping[str, Any], *, limit: int
) -> tuple[Sequence[Delivery], int | None]:
    """A tenant's deliveries, newest first, and the `before` of the next page; `filters` are among endpoint_id, job_id,
    status, event, without (events) and before (a sequence)."""
    values = {**filters, "tenant_id": tenant_id, "limit": limit + 1}
    with engine.connect() as connection:
        rows = connection.execute(text(_listing(filters)), values).all()
    found = [Delivery(**row._mapping) for row in rows[:limit]]
    return found, found[-1].sequence if len(rows) > limit else None


def _listing(filters: Mapping[str, Any]) -> str:
    conditions = ["tenant_id = :tenant_id", *(said for name, said in _CONDITIONS.items() if name in filters)]
    if filters.get("status") in _ENDED:
        # As the index of those says it.
        conditions.append("finished_at IS NOT NULL")
    return f"""
    SELECT {_COLUMNS} FROM webhook_deliveries WHERE {" AND ".join(conditions)}
    ORDER BY sequence DESC LIMIT :limit"""  # noqa: S608 - constants


def test(engine: sqlalchemy.Engine, endpoint: Endpoint) -> Delivery:
    """Send an endpoint a `webhook.test`; raises WebhookConflict when it is switched off."""
    _refuse_disabled(endpoint)
    new_id = ids.uuid7()
    said = body(Event.TEST, {"endpoint_id": ids.endpoint_id(endpoint.id), "message": "It works."})
    values = {"id": new_id, "tenant_id": endpoint.tenant_id, "endpoint_id": endpoint.id, "target": str(endpoint.id)}
    with engine.begin() as connection:
        connection.execute(_INSERT, {**values, "event": Event.TEST, "body": said})
    return get(engine, endpoint.tenant_id, new_id)


def redeliver(engine: sqlalchemy.Engine, tenant_id: uuid.UUID, delivery: Delivery) -> Delivery:
    """Send one again, from the start of the schedule, under the same id.

    Raises WebhookConflict while it is on its way anyway, and where its endpoint is switched off or gone.
    """
    if delivery.endpoint_id is not None:
        try:
            _refuse_disabled(endpoints.get(engine, tenant_id, delivery.endpoint_id))
        except errors.WebhookNotFound as error:
            raise errors.WebhookConflict("The endpoint that this was for is deleted") from error
    with engine.begin() as connection:
        if connection.execute(_ONE_AGAIN, {"id": delivery.id, "tenant_id": tenant_id}).first() is None:
            raise errors.WebhookConflict(f"A delivery that is {delivery.status} is on its way already")
    return get(engine, tenant_id, delivery.id)


def redeliver_since(
    engine: sqlalchemy.Engine,
    endpoint: Endpoint,
    since: dt.datetime,
    until: dt.datetime,
    *,
    after: int,
    delivered_too: bool,
    without: Sequence[str] = (),
) -> tuple[int, int | None]:
    """Send an endpoint again what failed, or all there was, but for the events `without`, in a window of time behind
    the sequence `after`, the oldest first; returns how many, at most MOST_AGAIN, and behind which sequence to go on.
    Raises WebhookConflict when it is switched off."""
    _refuse_disabled(endpoint)
    statuses = ["failed", "delivered"] if delivered_too else ["failed"]
    values: dict[str, object] = {"endpoint_id": endpoint.id, "statuses": statuses, "without": list(without)}
    values |= {"since": since, "until": until, "after": after}
    with engine.begin() as connection:
        found = list(connection.execute(_MANY_AGAIN, {**values, "most": MOST_AGAIN}).scalars())
    return len(found), max(found) if len(found) == MOST_AGAIN else None


def _refuse_disabled(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise errors.WebhookConflict(
            "The endpoint is switched off; PATCH it with enabled: true first", details={"field": "enabled"}
        )
