"""API keys: `cck_<id>_<secret><checksum>`. Only the secret's SHA-256 is stored; the key is shown once, at its birth."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import hmac
import re
import secrets
import threading
import uuid
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from cachetools import TLRUCache, cached
from sqlalchemy import text

from access import tenants
from access.bounds import UNBOUND, Bounds
from access.tiers import SAID, Tier
from access.used import Used
from core import audit, database, errors
from core.audit import Actor

PREFIX = "cck"
#: Of one that administers the platform.
ADMIN = "admin"
#: Of one that may publish models, beside what every tenant may.
MODELS = "models:write"
#: What a client's key may, if nothing else is said.
CLIENT = frozenset({"predict", "jobs", "files", "webhooks", "models:read", "usage:read", "keys"})
SCOPES = CLIENT | {ADMIN, "metrics", MODELS}
CACHE_S = 5.0
#: So long before that it may be looked at ahead.
AHEAD_S = 1.5
CACHE_MAX = 10_000
_ID = re.compile(r"[0-9a-f]{12}")
_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([0-9a-f]{{48}})([0-9a-f]{{8}})")

#: The condition that a key has neither been revoked nor come to its end.
OPENS = "revoked_at IS NULL AND (expires_at > now()) IS NOT FALSE"
_INSERT = text("""
INSERT INTO api_keys (id, tenant_id, name, secret_sha256, scopes, models, networks, expires_at)
VALUES (:id, :tenant_id, :name, :hash, :scopes, :models, :networks, :expires_at)
""")
_SELECT = text(f"""
SELECT tenant_id, secret_sha256, scopes, models, networks, expires_at, tier, {SAID}, now() AS at,
  extract(epoch FROM expires_at - now())::float AS left_s
FROM api_keys JOIN tenants ON tenants.id = tenant_id JOIN tiers ON tiers.name = tier
WHERE api_keys.id = :id AND {OPENS}
""")  # noqa: S608 - a constant
_REVOKE = text("""
UPDATE api_keys SET revoked_at = now()
WHERE id = :id AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id) AND revoked_at IS NULL
RETURNING tenant_id
""")
# Two that end each other wait, and the later one sees what is left.
_ADMINS = text(f"""
SELECT id FROM api_keys WHERE '{ADMIN}' = ANY (scopes) AND {OPENS} ORDER BY id FOR NO KEY UPDATE
""")  # noqa: S608 - a constant
_REVOKED = text("""
SELECT revoked_at, scopes FROM api_keys
WHERE id = :id AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
""")


@dataclass(frozen=True)
class Caller:
    """Who a key speaks for."""

    tenant_id: uuid.UUID
    tier: Tier
    key_id: str
    scopes: frozenset[str]
    #: The network that a request without a key came from; None for one with a key.
    network: str | None = None
    bounds: Bounds = UNBOUND

    @functools.cached_property
    def party(self) -> str:
        """Whom the limits of a tier are shared with: all keys of a tenant, or all of a network without one."""
        return self.network or self.tenant_id.hex

    @functools.cached_property
    def subject(self) -> str:
        """Who is held back for what the caller does: its key, or its network where it has none."""
        return f"address:{self.network}" if self.network else f"key:{self.key_id}"

    def require(self, *scopes: str) -> None:
        """One of them; raises Forbidden, and Unauthorized where a key is missing."""
        if self.scopes.isdisjoint(scopes):
            if self.network is not None:
                raise errors.Unauthorized
            wanted = " or ".join(f"'{scope}'" for scope in scopes)
            raise errors.Forbidden(f"This API key does not have the scope {wanted}", details={"scope": scopes[0]})


def create(
    engine: sqlalchemy.Engine,
    *,
    tenant: str,
    name: str,
    scopes: Collection[str],
    tier: str | None = None,
    bounds: Bounds = UNBOUND,
    by: Actor | None = None,
) -> str:
    """Make a key for a tenant and return it; it cannot be read again. `by` is whoever runs this program, unless it is
    another.

    A new tenant is made too, of this tier or `free`. Raises InvalidInput, and TenantConflict when a tier is given and
    the tenant has another one.
    """
    with engine.begin() as connection:
        tenant_id = tenants.ensure(connection, tenant, tier, by)
        return insert(connection, tenant_id, name, scopes, bounds, by or audit.operator())


def insert(
    connection: sqlalchemy.Connection,
    tenant_id: uuid.UUID,
    name: str,
    scopes: Collection[str],
    bounds: Bounds,
    by: Actor,
) -> str:
    """A new key of a tenant that is there; raises InvalidInput."""
    tenants.check_name("name", name)
    if unknown := set(scopes) - SCOPES:
        raise errors.InvalidInput.field(
            "scopes", f"must be among {', '.join(sorted(SCOPES))}", received=sorted(unknown)
        )
    key_id, secret = secrets.token_hex(6), secrets.token_hex(24)
    told = {"name": name, "scopes": sorted(scopes), **bounds.columns}
    connection.execute(_INSERT, {"id": key_id, "tenant_id": tenant_id, "hash": _hash(secret), **told})
    audit.record(connection, by, "key.create", f"key:{key_id}", tenant_id=tenant_id, after=told)
    return f"{PREFIX}_{key_id}_{secret}{_checksum(key_id, secret)}"


def revoke(
    engine: sqlalchemy.Engine,
    key_id: str,
    *,
    tenant_id: uuid.UUID | None = None,
    last: bool = False,
    by: Actor | None = None,
) -> dt.datetime | None:
    """End a key, one of this tenant if one is named, for good: every process forgets it within CACHE_S.

    Returns since when it has been revoked, None if it was not until now. Raises KeyNotFound, and KeyConflict for the
    `last` one with the scope `admin`, unless it may be that.
    """
    check_id(key_id)
    which = {"id": key_id, "tenant_id": tenant_id}
    with engine.begin() as connection:
        found = connection.execute(_REVOKED, which).first()
        if found is None:
            raise errors.KeyNotFound
        # Any other key is no matter of theirs, and who holds it to rotate it may wait for one of them.
        guarded = ADMIN in found.scopes and not last
        if guarded and connection.execute(_ADMINS).scalars().all() == [key_id]:
            raise errors.KeyConflict(
                "This is the last key with the scope 'admin', and without one nobody administers by the API: make "
                "another one first, or end it at the machine with `coatcheck keys revoke`"
            )
        if (ended := connection.execute(_REVOKE, which).first()) is not None:
            audit.record(connection, by or audit.operator(), "key.revoke", f"key:{key_id}", tenant_id=ended.tenant_id)
            return None
        since: dt.datetime = connection.execute(_REVOKED, which).one().revoked_at
    return since


class Keyring:
    """Verifies keys, remembering each for a few seconds; a revoked one dies within that time, and none outlives its
    end. When they were used is noted where `used` says."""

    def __init__(self, engine: sqlalchemy.Engine, used: Used | None = None) -> None:
        self._engine = engine
        self._used = used
        self._cache: TLRUCache[Any, tuple[Caller, float]] = TLRUCache(CACHE_MAX, _good_until)
        self._lock = threading.Lock()
        self._known = cached(self._cache, lock=self._lock)(self._look_up)

    def verify(self, token: str | None, address: str | None = None) -> Caller:
        """Raises Unauthorized, in the same words for a missing, malformed, unknown, expired and revoked key; Forbidden
        where a good one may not come from this address; Unavailable."""
        caller, _ = self._known(token or "")
        caller.bounds.check_address(address)
        return caller

    def knows(self, token: str | None) -> bool:
        """Whether nobody need be asked about it."""
        return self._known.cache_key(token or "") in self._cache

    def is_due(self, token: str) -> bool:
        """Whether somebody will soon have to be asked about one that is known."""
        with self._lock:
            known = self._cache.get(self._known.cache_key(token))
        return known is not None and known[1] - self._cache.timer() < AHEAD_S

    def look_ahead(self, token: str) -> None:
        """Ask about one that is known, before anybody has to; raises as `verify`, and forgets it where it opens nothing
        any more."""
        key = self._known.cache_key(token)
        try:
            found = self._look_up(token)
        except errors.Unauthorized:
            with self._lock:
                self._cache.pop(key, None)
            raise
        with self._lock:
            self._cache[key] = found

    def _look_up(self, token: str) -> tuple[Caller, float]:
        """And until when that is so at most, on the cache's clock."""
        if (parts := _parts(token)) is None:
            raise errors.Unauthorized
        key_id, secret = parts
        with database.reading(self._engine) as connection:
            row = connection.execute(_SELECT, {"id": key_id}).first()
        # An unknown id is compared too, so that it takes as long as a wrong secret.
        stored = bytes(row.secret_sha256) if row is not None else bytes(32)
        if not hmac.compare_digest(stored, _hash(secret)) or row is None:
            raise errors.Unauthorized
        if self._used is not None:
            self._used.note(key_id, row.at)
        caller = Caller(row.tenant_id, Tier.of(row), key_id, frozenset(row.scopes), bounds=Bounds.of(row))
        good_s = CACHE_S if row.left_s is None else min(CACHE_S, row.left_s)
        return caller, self._cache.timer() + good_s


def _good_until(_: str, known: tuple[Caller, float], __: float) -> float:
    return known[1]


def may_open(token: str) -> bool:
    """Whether a key may read so, as far as can be told without a look at those that there are."""
    return _parts(token) is not None


def _parts(token: str) -> tuple[str, str] | None:
    """The id and the secret of what has the form and the checksum of a key."""
    match = _FORM.fullmatch(token)
    return (match[1], match[2]) if match and _checksum(match[1], match[2]) == match[3] else None


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def check_id(key_id: str) -> None:
    """Raises KeyNotFound: what cannot be an id is the id of no key."""
    if not is_id(key_id):
        raise errors.KeyNotFound


def id_of(token: str) -> str:
    """The public part of a key."""
    return token.split("_")[1]


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _checksum(key_id: str, secret: str) -> str:
    return f"{zlib.crc32(f'{key_id}_{secret}'.encode()):08x}"
