"""Endpoints: where a tenant wants to be called, and for what."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import errors, ids
from core.seal import Seal
from webhooks import signing_keys, switching
from webhooks.events import FOR_OPERATORS
from webhooks.signing import Signing
from webhooks.trouble import Trouble

MOST = 20  #: endpoints of one tenant

_COLUMNS = "id, tenant_id, url, events, description, signing, enabled, disabled_code, disabled_at, created_at"
_SELECT = f"""
SELECT {_COLUMNS}, failures, failing_since FROM webhook_endpoints LEFT JOIN webhook_troubles ON target = id::text
WHERE tenant_id = :tenant_id
"""  # noqa: S608 - constants
_GET = text(f"{_SELECT} AND id = :id")
_LIST = text(f"{_SELECT} ORDER BY id")
_ALONE = text("SELECT FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE")
_COUNT = text("SELECT count(*) FROM webhook_endpoints WHERE tenant_id = :tenant_id")
_INSERT = text("""
INSERT INTO webhook_endpoints (id, tenant_id, url, events, description, signing)
VALUES (:id, :tenant_id, :url, :events, :description, :signing)
""")
_CHANGE = text("""
UPDATE webhook_endpoints SET url = coalesce(:url, url), events = coalesce(CAST(:events AS text[]), events),
  description = coalesce(:description, description)
WHERE id = :id AND tenant_id = :tenant_id RETURNING id
""")
_DELETE = text("DELETE FROM webhook_endpoints WHERE id = :id AND tenant_id = :tenant_id RETURNING id")
_PUBLIC = text("SELECT tenant_id FROM webhook_endpoints WHERE id = :id AND signing = 'v1a'")


@dataclass(frozen=True)
class Endpoint:
    """`failures` in a row and since when, if its last call failed."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    url: str
    events: Sequence[str]
    description: str
    signing: Signing
    enabled: bool
    disabled_code: str | None
    disabled_at: dt.datetime | None
    created_at: dt.datetime
    failures: int | None = None
    failing_since: dt.datetime | None = None

    @property
    def owner(self) -> signing_keys.Owner:
        return self.tenant_id, self.id


def for_operators(events: Sequence[str]) -> bool:
    """Whether one of them is of all tenants, and so only for who runs the platform."""
    return not set(events).isdisjoint(FOR_OPERATORS)


def create(
    connection: sqlalchemy.Connection,
    seal: Seal,
    tenant_id: uuid.UUID,
    *,
    url: str,
    events: Sequence[str],
    description: str,
    signing: Signing,
) -> Endpoint:
    """A new endpoint with a key of its own, made in this transaction.

    Raises WebhookConflict when the tenant has as many as it may.
    """
    new_id = ids.uuid7()
    values = {"id": new_id, "tenant_id": tenant_id, "url": url, "events": list(events)}
    connection.execute(_ALONE, values)
    if connection.execute(_COUNT, values).scalar_one() >= MOST:
        raise errors.WebhookConflict(f"There are {MOST} endpoints already, and no more than that to a tenant")
    connection.execute(_INSERT, {**values, "description": description, "signing": signing})
    signing_keys.ensure(connection, seal, (tenant_id, new_id), signing)
    return _endpoint(dict(connection.execute(_GET, {"tenant_id": tenant_id, "id": new_id}).mappings().one()))


def get(engine: sqlalchemy.Engine, tenant_id: uuid.UUID, endpoint_id: uuid.UUID) -> Endpoint:
    """Raises WebhookNotFound."""
    with engine.connect() as connection:
        row = connection.execute(_GET, {"tenant_id": tenant_id, "id": endpoint_id}).mappings().first()
    if row is None:
        raise errors.WebhookNotFound
    return _endpoint(dict(row))


def of_tenant(engine: sqlalchemy.Engine, tenant_id: uuid.UUID) -> list[Endpoint]:
    """A tenant's endpoints, oldest first."""
    with engine.connect() as connection:
        return [_endpoint(dict(row)) for row in connection.execute(_LIST, {"tenant_id": tenant_id}).mappings()]


def change(
    engine: sqlalchemy.Engine, tenant_id: uuid.UUID, endpoint_id: uuid.UUID, changes: Mapping[str, Any]
) -> Endpoint:
    """Another url, events, description, or on and off with `enabled`; raises WebhookNotFound."""
    values = {"url": None, "events": None, "description": None, **changes}
    with engine.begin() as connection:
        if connection.execute(_CHANGE, {**values, "tenant_id": tenant_id, "id": endpoint_id}).first() is None:
            raise errors.WebhookNotFound
        if changes.get("enabled") is True:
            switching.enable(connection, endpoint_id)
        if "url" in changes:
            switching.forgive(connection, endpoint_id)
        if changes.get("enabled") is False:
            switching.disable(connection, endpoint_id, switching.Reason.BY_TENANT)
    return get(engine, tenant_id, endpoint_id)


def delete(engine: sqlalchemy.Engine, tenant_id: uuid.UUID, endpoint_id: uuid.UUID) -> None:
    """Remove an endpoint; its deliveries stay in the tenant's log. Raises WebhookNotFound."""
    with engine.begin() as connection:
        if connection.execute(_DELETE, {"tenant_id": tenant_id, "id": endpoint_id}).first() is None:
            raise errors.WebhookNotFound
        switching.fail_waiting(connection, endpoint_id, Trouble.ENDPOINT_DELETED)
        switching.forgive(connection, endpoint_id)


def public_keys(engine: sqlalchemy.Engine, seal: Seal, endpoint_id: uuid.UUID) -> list[str]:
    """What an ed25519 endpoint's signatures can be checked with, for anybody who knows its id; raises
    WebhookNotFound."""
    with engine.connect() as connection:
        tenant_id = connection.execute(_PUBLIC, {"id": endpoint_id}).scalar()
    if tenant_id is None:
        raise errors.WebhookNotFound
    return [item.key.public for item in signing_keys.good(engine, seal, (tenant_id, endpoint_id)) if item.key.public]


def _endpoint(row: dict[str, Any]) -> Endpoint:
    return Endpoint(**{**row, "signing": Signing(row["signing"])})
