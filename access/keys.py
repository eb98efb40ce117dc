"""API keys: `cck_<id>_<secret><checksum>`. Only the secret's SHA-256 is stored; the key is shown once, at its birth."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
import threading
import uuid
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy
from cachetools import TTLCache, cached
from sqlalchemy import text

from access import tenants
from access.tiers import Tier
from core import database, errors

PREFIX = "cck"
#: Of one that may publish models, beside what every tenant may.
MODELS = "models:write"
SCOPES = frozenset({"jobs", "admin", "metrics", MODELS})
CACHE_S = 5.0
CACHE_MAX = 10_000
_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([0-9a-f]{{48}})([0-9a-f]{{8}})")

_INSERT = text("""
INSERT INTO api_keys (id, tenant_id, name, secret_sha256, scopes) VALUES (:id, :tenant_id, :name, :hash, :scopes)
""")
_SELECT = text("""
SELECT tenant_id, secret_sha256, scopes, tier, tiers.*
FROM api_keys JOIN tenants ON tenants.id = tenant_id JOIN tiers ON tiers.name = tier
WHERE api_keys.id = :id AND revoked_at IS NULL
""")
_LIST = text("""
SELECT api_keys.id, tenants.name AS tenant, tier, api_keys.name, scopes, api_keys.created_at, revoked_at
FROM api_keys JOIN tenants ON tenants.id = tenant_id
WHERE (CAST(:tenant AS text) IS NULL OR tenants.name = :tenant) AND (:revoked OR revoked_at IS NULL)
ORDER BY revoked_at DESC NULLS FIRST, tenants.name, api_keys.created_at
""")
_KNOWN_TENANT = text("SELECT FROM tenants WHERE name = :tenant")
_REVOKE = text("UPDATE api_keys SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL RETURNING revoked_at")
_REVOKED = text("SELECT revoked_at FROM api_keys WHERE id = :id")


@dataclass(frozen=True)
class Caller:
    """Who a key speaks for."""

    tenant_id: uuid.UUID
    tier: Tier
    key_id: str
    scopes: frozenset[str]
    #: The network that a request without a key came from; None for one with a key.
    network: str | None = None

    @property
    def party(self) -> str:
        """Whom the limits of a tier are shared with: all keys of a tenant, or all of a network without one."""
        return self.network or self.tenant_id.hex

    def require(self, *scopes: str) -> None:
        """One of them; raises Forbidden."""
        if self.scopes.isdisjoint(scopes):
            wanted = " or ".join(f"'{scope}'" for scope in scopes)
            raise errors.Forbidden(f"This API key does not have the scope {wanted}", details={"scope": scopes[0]})


@dataclass(frozen=True)
class Issued:
    """A key as it may be shown; its secret nobody has."""

    id: str
    tenant: str
    tier: str
    name: str
    scopes: Sequence[str]
    created_at: dt.datetime
    revoked_at: dt.datetime | None


def create(
    engine: sqlalchemy.Engine, *, tenant: str, name: str, scopes: Collection[str], tier: str | None = None
) -> str:
    """Make a key for a tenant and return it; it cannot be read again.

    A new tenant is made too, of this tier or `free`. Raises InvalidInput, and TenantConflict when a tier is given and
    the tenant has another one.
    """
    tenants.check_name("name", name)
    if unknown := set(scopes) - SCOPES:
        raise errors.InvalidInput.field(
            "scopes", f"must be among {', '.join(sorted(SCOPES))}", received=sorted(unknown)
        )
    key_id, secret = secrets.token_hex(6), secrets.token_hex(24)
    with engine.begin() as connection:
        tenant_id = tenants.ensure(connection, tenant, tier)
        values = {"id": key_id, "tenant_id": tenant_id, "name": name, "hash": _hash(secret), "scopes": sorted(scopes)}
        connection.execute(_INSERT, values)
    return f"{PREFIX}_{key_id}_{secret}{_checksum(key_id, secret)}"


def issued(engine: sqlalchemy.Engine, *, tenant: str | None = None, revoked: bool = False) -> list[Issued]:
    """The keys that open something, by tenant and age, and then, if asked for, the revoked ones, the latest first;
    raises NotFound for a tenant that is not there."""
    with engine.connect() as connection:
        if tenant is not None and connection.execute(_KNOWN_TENANT, {"tenant": tenant}).first() is None:
            raise errors.NotFound(f"There is no tenant {tenant!r}")
        found = connection.execute(_LIST, {"tenant": tenant, "revoked": revoked})
        return [Issued(**row) for row in found.mappings()]


def revoke(engine: sqlalchemy.Engine, key_id: str) -> dt.datetime | None:
    """End a key, for good: every process forgets it within CACHE_S.

    Returns since when it has been revoked, None if it was not until now; raises NotFound.
    """
    with engine.begin() as connection:
        if connection.execute(_REVOKE, {"id": key_id}).first() is not None:
            return None
        found = connection.execute(_REVOKED, {"id": key_id}).first()
    if found is None:
        raise errors.NotFound(f"There is no key {key_id}")
    since: dt.datetime = found.revoked_at
    return since


class Keyring:
    """Verifies keys, remembering each for a few seconds; a revoked one dies within that time."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._caller = cached(TTLCache(CACHE_MAX, CACHE_S), lock=threading.Lock())(self._look_up)

    def verify(self, token: str | None) -> Caller:
        """Raises Unauthorized, in the same words for a missing, malformed, unknown and revoked key; Unavailable."""
        return self._caller(token or "")

    def _look_up(self, token: str) -> Caller:
        match = _FORM.fullmatch(token)
        if match is None or _checksum(match[1], match[2]) != match[3]:
            raise errors.Unauthorized
        key_id, secret = match[1], match[2]
        with database.reading(self._engine) as connection:
            row = connection.execute(_SELECT, {"id": key_id}).first()
        # An unknown id is compared too, so that it takes as long as a wrong secret.
        stored = bytes(row.secret_sha256) if row is not None else bytes(32)
        if not hmac.compare_digest(stored, _hash(secret)) or row is None:
            raise errors.Unauthorized
        return Caller(row.tenant_id, Tier.of(row), key_id, frozenset(row.scopes))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _checksum(key_id: str, secret: str) -> str:
    return f"{zlib.crc32(f'{key_id}_{secret}'.encode()):08x}"
