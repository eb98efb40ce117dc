"""Switching endpoints on and off, and what that does to their deliveries: nothing is dropped, it fails where everybody
can see it and can be asked for again."""

from __future__ import annotations

import enum
import uuid

import sqlalchemy
import structlog
from sqlalchemy import text

from core import ids
from webhooks.events import Event, body
from webhooks.trouble import Trouble

log = structlog.get_logger()

#: An endpoint is switched off for failing only after so many failures in a row, however long that took.
LEAST_FAILURES = 20
#: So many of what waits for an endpoint end in the transaction that switches it off, in which others may have a part.
AT_ONCE = 1000


class Reason(enum.StrEnum):
    """Why an endpoint is off."""

    BY_TENANT = "BY_TENANT"
    GONE = "GONE"  #: it answered 410
    FAILING = "FAILING"  #: nothing else for COATCHECK_WEBHOOK_DISABLE_S


_DISABLE = text("""
UPDATE webhook_endpoints SET enabled = false, disabled_code = :code, disabled_at = now()
WHERE id = :id AND enabled RETURNING tenant_id, url
""")
# By its target, of which those that wait have an index.
_FAIL_WAITING = text("""
UPDATE webhook_deliveries SET status = 'failed', finished_at = now(), last_error = :code
WHERE id = ANY (ARRAY(
  SELECT id FROM webhook_deliveries
  WHERE target = CAST(:id AS text) AND endpoint_id = CAST(:id AS uuid) AND status = 'pending'
  ORDER BY next_at LIMIT :limit FOR UPDATE))
""")
_NOTIFY = text("""
INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, target, event, body)
SELECT gen_random_uuid(), tenant_id, id, id::text, CAST(:event AS text), :body FROM webhook_endpoints
WHERE tenant_id = :tenant_id AND enabled AND :event = ANY (events)
""")
_ENABLE = text("""
UPDATE webhook_endpoints SET enabled = true, disabled_code = NULL, disabled_at = NULL WHERE id = :id
""")
_FORGIVE = text("DELETE FROM webhook_troubles WHERE target = :id")


def disable(connection: sqlalchemy.Connection, endpoint_id: uuid.UUID | None, reason: Reason) -> None:
    """Switch an endpoint off, if it is on; what waits for it fails, and the tenant's other endpoints are told."""
    if endpoint_id is None:
        return
    row = connection.execute(_DISABLE, {"id": endpoint_id, "code": reason}).first()
    fail_waiting(connection, endpoint_id, Trouble.ENDPOINT_DISABLED)
    # What is given back by a sender later need not wait to hear it.
    forgive(connection, endpoint_id)
    if row is None or reason is Reason.BY_TENANT:
        return
    log.warning("webhook_endpoint_disabled", endpoint_id=ids.endpoint_id(endpoint_id), reason=reason)
    told = body(Event.DISABLED, {"endpoint_id": ids.endpoint_id(endpoint_id), "url": row.url, "reason": reason})
    # This one is off by now.
    connection.execute(_NOTIFY, {"tenant_id": row.tenant_id, "event": Event.DISABLED, "body": told})


def enable(connection: sqlalchemy.Connection, endpoint_id: uuid.UUID) -> None:
    """Switch an endpoint on, its failures forgotten. What it missed can be asked for."""
    connection.execute(_ENABLE, {"id": endpoint_id})
    forgive(connection, endpoint_id)


def forgive(connection: sqlalchemy.Connection, endpoint_id: uuid.UUID) -> None:
    """Forget its failures, so that it is called at once."""
    connection.execute(_FORGIVE, {"id": str(endpoint_id)})


def fail_waiting(connection: sqlalchemy.Connection, endpoint_id: uuid.UUID, code: str) -> None:
    """End what waits for an endpoint, as much as is done in a moment: whoever sends the rest finds nobody to call."""
    connection.execute(_FAIL_WAITING, {"id": endpoint_id, "code": code, "limit": AT_ONCE})
