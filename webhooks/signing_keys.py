"""What deliveries are signed with: sealed in the database, several at a time while one is being
replaced."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from core import errors, ids
from core.seal import Context, Purpose, Seal
from webhooks.signing import Key, Signing, key_of, new_key

#: Keys that are good at once: each is a signature on every call.
MOST = 4
#: Whose keys: a tenant's endpoint, or, without one, its jobs with a `webhook_url` of their own.
Owner = tuple[uuid.UUID, uuid.UUID | None]

_MINE = "tenant_id = :tenant_id AND endpoint_id IS NOT DISTINCT FROM :endpoint_id"
_HOLD = text("SELECT FROM webhook_endpoints WHERE id = :endpoint_id AND tenant_id = :tenant_id FOR KEY SHARE")
_ALONE = text("SELECT FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE")
_INSERT = text("""
INSERT INTO webhook_secrets (id, tenant_id, endpoint_id, sealed, public_key)
VALUES (:id, :tenant_id, :endpoint_id, :sealed, :public_key) ON CONFLICT DO NOTHING
""")
_GOOD = text(f"""
SELECT sealed, public_key, retires_at FROM webhook_secrets
WHERE {_MINE} AND (retires_at IS NULL OR retires_at > now()) ORDER BY retires_at DESC NULLS FIRST, created_at DESC
""")  # noqa: S608 - constants
_RETIRE = text(f"""
UPDATE webhook_secrets
SET retires_at = least(coalesce(retires_at, 'infinity'), now() + make_interval(secs => :overlap_s))
WHERE {_MINE}
""")  # noqa: S608
_RETIRED = text("DELETE FROM webhook_secrets WHERE retires_at < now()")
_GOOD_OF_MANY = text("""
SELECT tenant_id, endpoint_id, sealed FROM webhook_secrets
WHERE tenant_id = ANY (:tenants) AND (retires_at IS NULL OR retires_at > now())
ORDER BY retires_at DESC NULLS FIRST, created_at DESC
""")


@dataclass(frozen=True)
class Secret:
    """A key that is good now; `retires_at` is there once a newer one has taken its place."""

    key: Key
    retires_at: dt.datetime | None


def _hold(connection: sqlalchemy.Connection, owner: Owner) -> None:
    """See that the endpoint is there, and stays until the end of the transaction; raises WebhookNotFound."""
    if owner[1] is not None and connection.execute(_HOLD, _where(owner)).first() is None:
        raise errors.WebhookNotFound


def ensure(connection: sqlalchemy.Connection, seal: Seal, owner: Owner, signing: Signing = Signing.V1) -> None:
    """Make the owner's first key, if it has none; raises WebhookNotFound."""
    _hold(connection, owner)
    key = new_key(signing)
    values = {"id": ids.uuid7(), "sealed": seal.seal(key.secret, context(owner)), "public_key": key.public}
    connection.execute(_INSERT, {**values, **_where(owner)})


def good(engine: sqlalchemy.Engine, seal: Seal, owner: Owner) -> list[Secret]:
    """The owner's keys, the current one first; raises SecretLost."""
    with engine.connect() as connection:
        rows = connection.execute(_GOOD, _where(owner)).all()
    return [Secret(_opened(seal, owner, row.sealed, row.public_key), row.retires_at) for row in rows]


def rotate(engine: sqlalchemy.Engine, seal: Seal, owner: Owner, signing: Signing, *, overlap_s: int) -> None:
    """A new key beside the old ones, which go after `overlap_s`; raises WebhookNotFound, and WebhookConflict when MOST
    are good already."""
    with engine.begin() as connection:
        # One rotation at a time.
        connection.execute(_ALONE, _where(owner))
        _hold(connection, owner)
        if overlap_s and len(connection.execute(_GOOD, _where(owner)).all()) >= MOST:
            raise errors.WebhookConflict(
                f"{MOST} keys are good already; wait until one has gone, or rotate with overlap_s: 0, which ends all"
            )
        connection.execute(_RETIRE, {"overlap_s": overlap_s, **_where(owner)})
        ensure(connection, seal, owner, signing)


def of_many(connection: sqlalchemy.Connection, owners: Collection[Owner]) -> Mapping[Owner, Sequence[str]]:
    """The sealed keys that are good now, by owner."""
    found: dict[Owner, list[str]] = {}
    for row in connection.execute(_GOOD_OF_MANY, {"tenants": list({tenant_id for tenant_id, _ in owners})}):
        found.setdefault((row.tenant_id, row.endpoint_id), []).append(row.sealed)
    return found


def context(owner: Owner) -> Context:
    """What an owner's keys are sealed for."""
    return Context(Purpose.WEBHOOK_SECRET, *owner)


def purge(connection: sqlalchemy.Connection) -> None:
    connection.execute(_RETIRED)


def _opened(seal: Seal, owner: Owner, sealed: str, public_key: str | None) -> Key:
    """Raises SecretLost, also where the public key is not this one's: whoever could put another one beside it could
    sign for us."""
    key = key_of(seal.open(sealed, context(owner)))
    if key.public != public_key:
        raise errors.SecretLost
    return key


def _where(owner: Owner) -> dict[str, uuid.UUID | None]:
    return {"tenant_id": owner[0], "endpoint_id": owner[1]}
