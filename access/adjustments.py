"""Units that operators give tenants for a month, or take, beside what their tiers say."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from access import pages, tenants
from access.pages import Page
from core import audit, errors, ids

MAX_REASON = 200
MOST_UNITS = 2**53

_INSERT = text("""
INSERT INTO adjustments (id, tenant_id, month, units, reason)
VALUES (:id, :tenant_id, CAST(date_trunc('month', now()) AS date), :units, :reason) RETURNING month, created_at
""")
_PAGE = text("""
SELECT id, month, units, reason, created_at FROM adjustments
WHERE tenant_id = :tenant_id AND (CAST(:behind AS uuid) IS NULL OR id < :behind) ORDER BY id DESC LIMIT :limit
""")


@dataclass(frozen=True)
class Adjustment:
    """Units of one tenant; `month` is the first day of it."""

    id: uuid.UUID
    tenant: str
    month: dt.date
    units: int
    reason: str
    created_at: dt.datetime


def make(connection: sqlalchemy.Connection, tenant: str, units: int, reason: str, by: audit.Actor) -> Adjustment:
    """Give a tenant so many units for this month, or take them where they are less than 0, in this transaction.

    Raises InvalidInput, TenantNotFound.
    """
    if not 0 < abs(units) <= MOST_UNITS:
        raise errors.InvalidInput.field("units", f"must be from 1 to {MOST_UNITS:,}, or less than 0", received=units)
    if not (reason.isprintable() and 0 < len(reason) <= MAX_REASON):
        raise errors.InvalidInput.field("reason", f"must be 1 to {MAX_REASON} printable characters")
    tenant_id, made_id = tenants.find(connection, tenant), ids.uuid7()
    values = {"id": made_id, "tenant_id": tenant_id, "units": units, "reason": reason}
    made = connection.execute(_INSERT, values).one()
    said = {"month": str(made.month), "units": units, "reason": reason}
    audit.record(connection, by, "quota.adjust", f"tenant:{tenant}", tenant_id=tenant_id, after=said)
    return Adjustment(made_id, tenant, made.month, units, reason, made.created_at)


def page(engine: sqlalchemy.Engine, tenant: str, *, limit: int, cursor: str | None = None) -> Page[Adjustment]:
    """A tenant's, newest first; raises TenantNotFound, InvalidInput for a bad cursor."""
    given: dict[str, Any] = {"behind": None if cursor is None else _behind(cursor), "limit": limit + 1}
    with engine.connect() as connection:
        given["tenant_id"] = tenants.find(connection, tenant)
        rows = connection.execute(_PAGE, given).mappings()
        found = [Adjustment(tenant=tenant, **row) for row in rows]
    return pages.cut(found, limit, lambda made: made.id.hex)


def _behind(cursor: str) -> uuid.UUID:
    try:
        return uuid.UUID(hex=cursor)
    except ValueError:
        raise pages.bad_cursor() from None
