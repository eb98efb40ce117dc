"""Tenants: who has keys and jobs, and of which tier."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from access import audit, tiers
from access.audit import Actor
from core import database, errors, ids

MAX_NAME = 100
#: Who makes the tenants of those who come with a token, or as strangers.
AT_SIGHT = "platform"

_LIST = text("""
SELECT name, tier, created_at,
  (SELECT count(*) FROM api_keys WHERE tenant_id = tenants.id AND revoked_at IS NULL
     AND (expires_at > now()) IS NOT FALSE) AS keys
FROM tenants ORDER BY name
""")
_INSERT = text("INSERT INTO tenants (id, name, tier) VALUES (:id, :name, :tier) ON CONFLICT (name) DO NOTHING")
_FIND = text("SELECT id FROM tenants WHERE name = :name")
_SELECT = text("SELECT id, tier FROM tenants WHERE name = :name FOR UPDATE")
_SEEN = text("SELECT id, tier, tiers.* FROM tenants JOIN tiers ON tiers.name = tier WHERE tenants.name = :name")
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


def create(engine: sqlalchemy.Engine, name: str, tier: str, by: Actor | None = None) -> None:
    """Make a tenant; raises InvalidInput, TenantConflict where there is one of this name."""
    with engine.begin() as connection:
        if not _insert(connection, name, tier, by):
            raise errors.TenantConflict(f"There is a tenant {name!r} already")


def find(connection: sqlalchemy.Connection, name: str) -> uuid.UUID:
    """The tenant's id; raises NotFound."""
    found = connection.execute(_FIND, {"name": name}).first()
    if found is None:
        raise errors.NotFound(f"There is no tenant {name!r}")
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

    Raises NotFound, InvalidInput.
    """
    with engine.begin() as connection:
        tiers.require(connection, tier)
        found = connection.execute(_SELECT, {"name": name}).first()
        if found is None:
            raise errors.NotFound(f"There is no tenant {name!r}")
        connection.execute(_CHANGE, {"name": name, "tier": tier})
        before: str = found.tier
        sides = {"before": {"tier": before}, "after": {"tier": tier}}
        _audit(connection, by, "tenant.change", found.id, name, **sides)
    return before


def check_name(field: str, value: str) -> None:
    """Raises InvalidInput."""
    if not (value.isprintable() and 0 < len(value) <= MAX_NAME and value == value.strip()):
        issue = f"must be 1 to {MAX_NAME} printable characters, with no space at either end"
        raise errors.InvalidInput.field(field, issue)


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
