"""Keys as they may be shown: their secrets nobody has."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from access import keys, pages, tenants
from access.keys import OPENS
from access.pages import Page
from core import errors

_COLUMNS = """
SELECT api_keys.id, tenants.name AS tenant, tier, api_keys.name, scopes, models, networks, api_keys.created_at,
  expires_at, last_used_at, rotated_to, revoked_at
"""
_SHOWN = f"{_COLUMNS} FROM api_keys JOIN tenants ON tenants.id = tenant_id"
_LIST = text(f"""
{_SHOWN} WHERE (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id) AND (:all OR ({OPENS}))
ORDER BY revoked_at DESC NULLS FIRST, tenants.name, api_keys.created_at
""")
# Whose they are is looked up for those of the page alone.
_PAGE = text(f"""
WITH page AS (
  SELECT * FROM api_keys WHERE (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id) AND (:all OR ({OPENS}))
    AND (CAST(:behind AS text) IS NULL
         OR (created_at, id) < (SELECT last.created_at, last.id FROM api_keys AS last WHERE last.id = :behind))
  ORDER BY created_at DESC, id DESC LIMIT :limit
)
{_COLUMNS} FROM page AS api_keys JOIN tenants ON tenants.id = tenant_id
ORDER BY api_keys.created_at DESC, api_keys.id DESC
""")  # noqa: S608 - constants
_ONE = text(f"{_SHOWN} WHERE api_keys.id = :id")


@dataclass(frozen=True)
class Issued:
    """A key as it may be shown."""

    id: str
    tenant: str
    tier: str
    name: str
    scopes: Sequence[str]
    models: Sequence[str] | None
    networks: Sequence[str] | None
    created_at: dt.datetime
    expires_at: dt.datetime | None
    last_used_at: dt.datetime | None
    rotated_to: str | None
    revoked_at: dt.datetime | None


def listed(
    engine: sqlalchemy.Engine,
    *,
    tenant: str | None = None,
    tenant_id: uuid.UUID | None = None,
    revoked: bool = False,
) -> list[Issued]:
    """The keys that open something, by tenant and age, and with them, if asked for, those that have expired and then
    the revoked ones, the latest first; raises TenantNotFound."""
    with engine.connect() as connection:
        if tenant is not None:
            tenant_id = tenants.find(connection, tenant)
        found = connection.execute(_LIST, {"tenant_id": tenant_id, "all": revoked})
        return [Issued(**row) for row in found.mappings()]


def page(
    engine: sqlalchemy.Engine, *, tenant: str | None, revoked: bool, limit: int, cursor: str | None = None
) -> Page[Issued]:
    """The same, newest first; raises TenantNotFound, InvalidInput for a bad cursor."""
    given: dict[str, Any] = {"all": revoked, "behind": cursor, "limit": limit + 1}
    with engine.connect() as connection:
        if cursor is not None and (not keys.is_id(cursor) or connection.execute(_ONE, {"id": cursor}).first() is None):
            raise pages.bad_cursor()
        given["tenant_id"] = None if tenant is None else tenants.find(connection, tenant)
        found = [Issued(**row) for row in connection.execute(_PAGE, given).mappings()]
    return pages.cut(found, limit, lambda key: key.id)


def get(engine: sqlalchemy.Engine, key_id: str) -> Issued:
    """One of them, whatever became of it; raises KeyNotFound."""
    with engine.connect() as connection:
        found = connection.execute(_ONE, {"id": key_id}).mappings().first()
    if found is None:
        raise errors.KeyNotFound
    return Issued(**found)
