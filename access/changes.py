"""The audit log as operators read it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from access import pages, tenants
from access.pages import Page

_MOST_ID = 2**63 - 1

_PAGE = text("""
SELECT audit.id, at, actor, address, (SELECT name FROM tenants WHERE id = tenant_id) AS tenant, action,
  object AS subject, before, after
FROM audit
WHERE id < :below AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
  AND (CAST(:subject AS text) IS NULL OR object = :subject) AND (CAST(:actor AS text) IS NULL OR actor = :actor)
  AND (CAST(:action AS text) IS NULL OR action = :action)
ORDER BY id DESC LIMIT :limit
""")


@dataclass(frozen=True)
class Change:
    """What somebody changed; `address` is None for who was at the machine, and a side that there is not is None."""

    id: int
    at: dt.datetime
    actor: str
    address: str | None
    tenant: str | None
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True)
class Filters:
    """Which changes; None for all. `subject` is what was changed: `key:<id>`, `tenant:<name>`, `tier:<name>` …"""

    tenant: str | None = None
    subject: str | None = None
    actor: str | None = None
    action: str | None = None


def page(engine: sqlalchemy.Engine, filters: Filters, *, limit: int, cursor: str | None = None) -> Page[Change]:
    """Newest first; raises TenantNotFound, InvalidInput for a bad cursor."""
    given = {**vars(filters), "below": _MOST_ID if cursor is None else _below(cursor), "limit": limit + 1}
    tenant = given.pop("tenant")
    with engine.connect() as connection:
        tenant_id = None if tenant is None else tenants.find(connection, tenant)
        found = [Change(**row) for row in connection.execute(_PAGE, {**given, "tenant_id": tenant_id}).mappings()]
    return pages.cut(found, limit, lambda change: str(change.id))


def _below(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and int(cursor) <= _MOST_ID):
        raise pages.bad_cursor()
    return int(cursor)
