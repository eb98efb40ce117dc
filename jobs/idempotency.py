"""Idempotency-Key: the same request again gets the first one's answer
(draft-ietf-httpapi-idempotency-key-header-07)."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy
from sqlalchemy import text

from core import database, errors

#: A request that was computing its answer when its process died holds its key no longer than this.
ABANDONED_S = 60
KEEP_S = 48 * 3600
LIMIT = 500

_MINE = "tenant_id = :tenant_id AND route = :route AND key = :key"
_INSERT = text("""
INSERT INTO idempotency_keys (tenant_id, route, key, fingerprint, job_id, reply)
VALUES (:tenant_id, :route, :key, :fingerprint, :job_id, CAST(:reply AS json))
ON CONFLICT (tenant_id, route, key) DO NOTHING RETURNING created_at
""")
_SELECT = text(f"SELECT fingerprint, job_id, reply FROM idempotency_keys WHERE {_MINE}")  # noqa: S608 - constants
_TAKE_OVER = text(f"""
UPDATE idempotency_keys SET created_at = now(), job_id = :job_id, reply = CAST(:reply AS json)
WHERE {_MINE} AND job_id IS NULL AND reply IS NULL AND created_at < now() - make_interval(secs => :abandoned_s)
RETURNING created_at
""")  # noqa: S608
# Who comes so late that another request has taken the key over changes nothing: that one may still be computing.
_HELD = f"{_MINE} AND created_at = :since AND job_id IS NULL AND reply IS NULL"
_ANSWER = text(f"UPDATE idempotency_keys SET reply = CAST(:reply AS json) WHERE {_HELD}")  # noqa: S608
_FORGET = text(f"DELETE FROM idempotency_keys WHERE {_HELD}")  # noqa: S608
_PURGE = text("""
DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM idempotency_keys WHERE created_at < now() - make_interval(secs => :keep_s)
  ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
))
""")


@dataclass(frozen=True)
class Key:
    """A client's key for one kind of request, and the SHA-256 of what is asked under it."""

    tenant_id: uuid.UUID
    route: str
    key: str
    fingerprint: bytes

    @property
    def _where(self) -> dict[str, Any]:
        return {"tenant_id": self.tenant_id, "route": self.route, "key": self.key}


@dataclass(frozen=True)
class Earlier:
    """What the first request came to: a stored reply, or the job that has the answer."""

    job_id: uuid.UUID | None
    reply: Mapping[str, Any] | None


@dataclass(frozen=True)
class Holder:
    """A request that computes what its key is to stand for; who takes that over holds it since later."""

    key: Key
    since: dt.datetime

    @property
    def _where(self) -> dict[str, Any]:
        return {**self.key._where, "since": self.since}


def fingerprint(asked: Any) -> bytes:
    """SHA-256 of a JSON value, the same for any order of its keys."""
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).digest()


def find(engine: sqlalchemy.Engine, key: Key) -> Earlier | None:
    """What was answered under this key, if anything was; raises IdempotencyMismatch."""
    with engine.connect() as connection:
        row = connection.execute(_SELECT, key._where).first()
    if row is None:
        return None
    _same(key, row.fingerprint)
    return Earlier(row.job_id, row.reply) if row.job_id or row.reply else None


def claim(
    connection: sqlalchemy.Connection,
    key: Key,
    *,
    job_id: uuid.UUID | None = None,
    reply: Mapping[str, Any] | None = None,
) -> Earlier | Holder:
    """Take the key within the caller's transaction, or return what it already stands for.

    A concurrent holder's transaction is waited for. Raises IdempotencyMismatch, and IdempotencyInProgress while
    another request is still computing its answer.
    """
    values = {**key._where, "fingerprint": key.fingerprint, "job_id": job_id}
    mine = {**values, "reply": database.dumps(reply) if reply else None}
    if new := connection.execute(_INSERT, mine).first():
        return Holder(key, new.created_at)
    row = connection.execute(_SELECT, key._where).first()
    if row is None:
        raise errors.IdempotencyInProgress
    _same(key, row.fingerprint)
    if row.job_id or row.reply:
        return Earlier(row.job_id, row.reply)
    if taken := connection.execute(_TAKE_OVER, {**mine, "abandoned_s": ABANDONED_S}).first():
        return Holder(key, taken.created_at)
    raise errors.IdempotencyInProgress


def answer(connection: sqlalchemy.Connection, holder: Holder, reply: Mapping[str, Any]) -> None:
    """Store the answer of a request that made no job, if the key is still its own."""
    connection.execute(_ANSWER, {**holder._where, "reply": database.dumps(reply)})


def forget(engine: sqlalchemy.Engine, holder: Holder) -> None:
    """The request failed; its key may be used again, unless another one has it by now."""
    with engine.begin() as connection:
        connection.execute(_FORGET, holder._where)


def purge(engine: sqlalchemy.Engine) -> int:
    """Drop keys past their time, at most LIMIT; returns how many."""
    with engine.begin() as connection:
        return connection.execute(_PURGE, {"keep_s": KEEP_S, "limit": LIMIT}).rowcount


def _same(key: Key, stored: bytes) -> None:
    if bytes(stored) != key.fingerprint:
        raise errors.IdempotencyMismatch
