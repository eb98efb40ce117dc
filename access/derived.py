"""Keys that are made with a key, and in the place of one: never of more than the key that asks for it.

A key with the scope `admin` makes any for any tenant; but what administers as well is as narrow as itself, and ends no
later, or one that leaked would outlive its end.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

import sqlalchemy
from sqlalchemy import text

from access import keys, tenants
from access.bounds import Bounds
from access.keys import ADMIN, OPENS, Caller
from core import audit, errors
from core.audit import Actor

MOST = 20  #: keys of one tenant that open something, where its own keys make them
MAX_OVERLAP_S = 7 * 86_400
MAX_LIFE_S = 10 * 365 * 86_400

_ALONE = text("SELECT FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE")
# In the order of their ids: two that rotate each other's keys would wait for each other.
_HOLD = text(f"""
SELECT id, ({OPENS}) AS opens FROM api_keys WHERE id = ANY (:ids) ORDER BY id FOR NO KEY UPDATE
""")  # noqa: S608 - a constant
_COUNT = text(f"SELECT count(*) FROM api_keys WHERE tenant_id = :tenant_id AND {OPENS}")  # noqa: S608 - a constant
_OLD = text(f"""
SELECT tenant_id, name, scopes, models, networks, expires_at, rotated_to, ({OPENS}) AS opens FROM api_keys
WHERE id = :id AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id) FOR NO KEY UPDATE
""")  # noqa: S608 - a constant
_RETIRE = text("""
UPDATE api_keys SET rotated_to = :new, expires_at = least(expires_at, now() + make_interval(secs => :overlap_s))
WHERE id = :id RETURNING expires_at
""")


def create(
    engine: sqlalchemy.Engine, own: Caller, *, name: str, scopes: Collection[str] | None, bounds: Bounds, by: Actor
) -> str:
    """A new key of the caller's tenant; what is not said is as in the caller's own, of scopes those of a client.

    Raises Unauthorized, InvalidInput, Forbidden for more than its own, and KeyConflict when there are MOST.
    """
    asked = keys.CLIENT & own.scopes if scopes is None else scopes
    _check_scopes(own, asked)
    narrowed = bounds.filled(own.bounds)
    narrowed.check_within(own.bounds)
    with engine.begin() as connection:
        _begin(connection, own)
        made = keys.insert(connection, own.tenant_id, name, asked, narrowed, by)
        _check_count(connection, own.tenant_id)
    return made


def create_for(
    engine: sqlalchemy.Engine,
    own: Caller,
    tenant: str,
    *,
    name: str,
    scopes: Collection[str] | None,
    bounds: Bounds,
    by: Actor,
) -> str:
    """A new key of any tenant, made with one that administers; without scopes it has those of a client.

    Raises Unauthorized, InvalidInput, TenantNotFound, and Forbidden for one that administers beyond the caller's own.
    """
    asked = keys.CLIENT if scopes is None else scopes
    if ADMIN in asked:
        bounds = bounds.filled(own.bounds)
        bounds.check_within(own.bounds)
    with engine.begin() as connection:
        _begin(connection, own)
        return keys.insert(connection, tenants.find(connection, tenant), name, asked, bounds, by)


def rotate(
    engine: sqlalchemy.Engine,
    key_id: str,
    *,
    overlap_s: int,
    own: Caller | None = None,
    everywhere: bool = False,
    by: Actor | None = None,
) -> str:
    """A new key that may what the old one may, for as long; the old one ends after so many seconds.

    With `own` it is of the caller's tenant, or, `everywhere`, of any, for one that administers. Raises Unauthorized,
    KeyNotFound, KeyConflict for one that opens nothing or was rotated and when a tenant has MOST of its own making, and
    Forbidden for one that may more than the caller's own.
    """
    keys.check_id(key_id)
    by, within = by or audit.operator(), None if everywhere else own
    with engine.begin() as connection:
        if own is not None:
            _begin(connection, own, key_id)
        old = connection.execute(_OLD, {"id": key_id, "tenant_id": within and within.tenant_id}).first()
        if old is None:
            raise errors.KeyNotFound
        if not old.opens:
            raise errors.KeyConflict("This key opens nothing any more, and cannot be rotated")
        if old.rotated_to is not None:
            raise errors.KeyConflict(f"This key was rotated already: {old.rotated_to} is in its place")
        bounds = Bounds.of(old)
        if within is not None:
            _check_scopes(within, old.scopes)
        if own is not None and (within is not None or ADMIN in old.scopes):
            bounds.check_within(own.bounds)
        made = keys.insert(connection, old.tenant_id, old.name, old.scopes, bounds, by)
        new, before = keys.id_of(made), {"expires_at": old.expires_at}
        ends = connection.execute(_RETIRE, {"id": key_id, "new": new, "overlap_s": overlap_s}).scalar_one()
        after = {"expires_at": ends, "rotated_to": new}
        audit.record(connection, by, "key.rotate", f"key:{key_id}", tenant_id=old.tenant_id, before=before, after=after)
        if within is not None:
            _check_count(connection, within.tenant_id)
    return made


def _begin(connection: sqlalchemy.Connection, own: Caller, *others: str) -> None:
    """One at a time of a tenant, and of these keys. Raises Unauthorized for a key that was ended since it was let in:
    else it had some seconds yet to leave another one behind."""
    connection.execute(_ALONE, {"tenant_id": own.tenant_id})
    opens = {row.id: row.opens for row in connection.execute(_HOLD, {"ids": [own.key_id, *others]})}
    if not opens.get(own.key_id, True):
        raise errors.Unauthorized


def _check_scopes(own: Caller, asked: Collection[str]) -> None:
    if beyond := sorted(set(asked) - own.scopes):
        raise errors.Forbidden(
            "A key makes none that may more than itself",
            details={"field": "scopes", "issue": "goes beyond your own key's", "received": beyond},
        )


def _check_count(connection: sqlalchemy.Connection, tenant_id: uuid.UUID) -> None:
    """Once the new one is among them."""
    if connection.execute(_COUNT, {"tenant_id": tenant_id}).scalar_one() > MOST:
        raise errors.KeyConflict(f"There are {MOST} keys already, and no more than that to a tenant: revoke one")
