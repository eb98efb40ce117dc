"""Tenants: who has keys and jobs, and of which tier."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from access import pages, tiers
from access.pages import Page
from core import audit, database, errors, ids
from core.audit import Actor

MAX_NAME = 100
#: Who makes the tenants of those who come with a token, or as strangers.
AT_SIGHT = "platform"

_SHOWN = """
SELECT name, tier, created_at,
  (SELECT count(*) FROM api_keys WHERE tenant_id = tenants.id AND revoked_at IS NULL
     AND (expires_at > now()) IS NOT FALSE) AS keys
FROM tenants
"""
_LIST = text(f"{_SHOWN} ORDER BY name")
_PAGE = text(f"{_SHOWN} WHERE name > :behind ORDER BY name LIMIT :limit")
_ONE = text(f"{_SHOWN} WHERE name = :name")
_ID = text("SELECT id FROM tenants WHERE name = :name")
_INSERT = text("INSERT INTO tenants (id, name, tier) VALUES (:id, :name, :tier) ON CONFLICT (name) DO NOTHING")
_SELECT = text("SELECT id, tier FROM tenants WHERE name = :name FOR UPDATE")
_SEEN = text(
    f"SELECT id, tier, {tiers.SAID} FROM tenants JOIN tiers ON tiers.name = tier WHERE tenants.name = :name"  # noqa: S608
)
_CHANGE = text("UPDATE tenants SET tier = :tier WHERE name = :name")


@dataclass(frozen=True)
class Tenant:
    """A tenant as operators see it."""

    name: str
    tier: str
    keys: int  #: that open something
    created_at: dt.datetime


def listed(engine: sqlalchemy.Engine) -> list[Tenant]:
    """All of them, by name."""
    with engine.connect() as connection:
        return [Tenant(**row) for row in connection.execute(_LIST).mappings()]


def page(engine: sqlalchemy.Engine, *, limit: int, cursor: str | None = None) -> Page[Tenant]:
    """The same; the cursor is the name of the last one. Raises InvalidInput for a bad one."""
    if cursor is not None and not _is_name(cursor):
        raise pages.bad_cursor()
    with engine.connect() as connection:
        rows = connection.execute(_PAGE, {"behind": cursor or "", "limit": limit + 1})
        found = [Tenant(**row) for row in rows.mappings()]
    return pages.cut(found, limit, lambda tenant: tenant.name)


def get(engine: sqlalchemy.Engine, name: str) -> Tenant:
    """Raises TenantNotFound."""
    with engine.connect() as connection:
        found = connection.execute(_ONE, {"name": name}).mappings().first() if _is_name(name) else None
    if found is None:
        raise _missing(name)
    return Tenant(**found)


def create(engine: sqlalchemy.Engine, name: str, tier: str, by: Actor | None = None) -> None:
    """Make a tenant; raises InvalidInput, TenantConflict where there is one of this name."""
    check_name("name", name)
    with engine.begin() as connection:
        if not _insert(connection, name, tier, by):
            raise errors.TenantConflict(f"There is a tenant {name!r} already")


def find(connection: sqlalchemy.Connection, name: str) -> uuid.UUID:
    """The tenant's id; raises TenantNotFound."""
    found = connection.execute(_ID, {"name": name}).first() if _is_name(name) else None
    if found is None:
        raise _missing(name)
    tenant_id: uuid.UUID = found.id
    return tenant_id


def ensure(connection: sqlalchemy.Connection, name: str, tier: str | None, by: Actor | None = None) -> uuid.UUID:
    """The tenant's id; it is made, as `free` or of this tier, where there is none.

    Raises InvalidInput, and TenantConflict for one that is there with another tier: `change` alone changes that.
    """
    _insert(connection, name, tier or tiers.DEFAULT, by)
    found = connection.execute(_SELECT, {"name": name}).one()
    if tier is not None and tier != found.tier:
        raise errors.TenantConflict(
            f"The tenant {name!r} is {found.tier}, not {tier}", details={"tenant": name, "tier": found.tier}
        )
    tenant_id: uuid.UUID = found.id
    return tenant_id


def at_sight(engine: sqlalchemy.Engine, name: str, tier: str) -> tuple[uuid.UUID, tiers.Tier]:
    """A tenant's id and the tier that it has; it is made, of this tier, where there is none.

    Raises InvalidInput for a tenant that cannot be made so, Unavailable.
    """
    check_name("tenant", name)
    with database.reading(engine) as connection:
        found = connection.execute(_SEEN, {"name": name}).first()
    if found is None:
        with database.writing(engine) as connection:
            _insert(connection, name, tier, Actor(AT_SIGHT))
            found = connection.execute(_SEEN, {"name": name}).one()
    return found.id, tiers.Tier.of(found)


def change(engine: sqlalchemy.Engine, name: str, *, tier: str, by: Actor | None = None) -> str:
    """Give a tenant another tier, which holds within seconds, and return the one that it had.

    Raises TenantNotFound, InvalidInput.
    """
    with engine.begin() as connection:
        found = connection.execute(_SELECT, {"name": name}).first() if _is_name(name) else None
        if found is None:
            raise _missing(name)
        tiers.require(connection, tier)
        connection.execute(_CHANGE, {"name": name, "tier": tier})
        before: str = found.tier
        sides = {"before": {"tier": before}, "after": {"tier": tier}}
        _audit(connection, by, "tenant.change", found.id, name, **sides)
    return before


def check_name(field: str, value: str) -> None:
    """Raises InvalidInput."""
    if not _is_name(value):
        issue = f"must be 1 to {MAX_NAME} printable characters, with no space at either end"
        raise errors.InvalidInput.field(field, issue)


def _is_name(text: str) -> bool:
    return text.isprintable() and 0 < len(text) <= MAX_NAME and text == text.strip()


def _missing(name: str) -> errors.TenantNotFound:
    """What cannot be a name is the name of no tenant."""
    return errors.TenantNotFound(f"There is no tenant {name[:MAX_NAME]!r}")


def _insert(connection: sqlalchemy.Connection, name: str, tier: str, by: Actor | None) -> bool:
    """Whether there was none; raises InvalidInput."""
    check_name("tenant", name)
    tiers.require(connection, tier)
    tenant_id = ids.uuid7()
    if connection.execute(_INSERT, {"id": tenant_id, "name": name, "tier": tier}).rowcount == 0:
        return False
    _audit(connection, by, "tenant.create", tenant_id, name, after={"tier": tier})
    return True


def _audit(
    connection: sqlalchemy.Connection,
    by: Actor | None,
    action: str,
    tenant_id: uuid.UUID,
    name: str,
    **sides: Mapping[str, Any],
) -> None:
    audit.record(connection, by or audit.operator(), action, f"tenant:{name}", tenant_id=tenant_id, **sides)
