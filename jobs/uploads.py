"""Uploads: a tenant is given a place in S3 for one file, and a job is then made from what lies there."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from access.tiers import Tier
from core import database, errors, ids
from inference.manifest import Manifest
from jobs import content_types
from storage.objects import Store

#: What a file of rows may be, and how they are written, where its type says how.
ROWS: Mapping[str, str | None] = {
    "application/x-ndjson": "jsonl",
    "text/csv": "csv",
    "application/gzip": None,
}
#: The same where the name of the file says it.
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
#: What a bundle is.
BUNDLE = "application/x-tar"
#: How long a file may be used after its address expired; what a job uses is kept until the job cannot need it any more.
UNUSED_S = 86_400
LIMIT = 100

#: Two places that are asked for at the same moment are counted one after the other.
_ALONE = text("SELECT FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE")
_USED = text("""
SELECT count(*) FILTER (WHERE used_at IS NULL AND expires_at > now()) AS open, coalesce(sum(size), 0)::bigint AS bytes
FROM uploads WHERE tenant_id = :tenant_id
""")
_INSERT = text("""
INSERT INTO uploads (id, tenant_id, filename, content_type, size, sha256, expires_at)
VALUES (:id, :tenant_id, :filename, :content_type, :size, :sha256, now() + make_interval(secs => :expires_s))
RETURNING expires_at
""")
_IS_THERE = text("""
SELECT FROM uploads
WHERE id = :id AND tenant_id = :tenant_id AND expires_at > now() - make_interval(secs => :unused_s)
""")
_USE = text("""
UPDATE uploads SET used_at = now()
WHERE id = :id AND tenant_id = :tenant_id AND expires_at > now() - make_interval(secs => :unused_s)
RETURNING id, filename, content_type, size, sha256
""")
_OVER = text("""
SELECT uploads.id FROM uploads JOIN tenants ON tenants.id = tenant_id JOIN tiers ON tiers.name = tier
WHERE uploads.created_at < now() - make_interval(secs => :unused_s)
  AND expires_at < now() - make_interval(secs => :unused_s)
  AND coalesce(used_at, '-infinity') < now() - make_interval(secs => max_ttl_s)
ORDER BY uploads.created_at LIMIT :limit
""")
_PURGE = text("DELETE FROM uploads WHERE id = ANY (:ids)")


@dataclass(frozen=True)
class File:
    """An uploaded file as it is now; `etag` pins it."""

    key: str
    etag: str
    size: int
    sha256: str | None  #: base64, as its uploader gave it
    content_type: str
    format: str | None  #: jsonl or csv, if type or name say so


def types(manifest: Manifest) -> tuple[str, ...]:
    """What a file may be that is handed in for this model."""
    return (*manifest.file_types, *(ROWS if manifest.takes_rows else ()))


def key(upload_id: uuid.UUID) -> str:
    return f"uploads/{upload_id.hex}"


def create(
    connection: sqlalchemy.Connection,
    tenant_id: uuid.UUID,
    tier: Tier,
    *,
    filename: str | None,
    content_type: str,
    size: int,
    sha256: str | None,
    expires_s: int,
) -> tuple[uuid.UUID, dt.datetime]:
    """A place for one file of just this size, type and digest, and until when it is open, made in this transaction.

    A place counts as open until it is used or expires, its bytes until it is purged. Raises InvalidInput, UploadQuota.
    """
    new_id = ids.uuid7()
    values: dict[str, Any] = {
        "id": new_id,
        "tenant_id": tenant_id,
        "filename": filename,
        "content_type": content_type,
        "size": size,
        "sha256": _base64(sha256) if sha256 else None,
        "expires_s": expires_s,
    }
    connection.execute(_ALONE, values)
    _refuse_more(tier, size, connection.execute(_USED, values).one())
    return new_id, connection.execute(_INSERT, values).scalar_one()


def _refuse_more(tier: Tier, size: int, used: sqlalchemy.Row[Any]) -> None:
    """Raises UploadQuota."""
    if used.open >= tier.max_uploads:
        issue = f"{used.open} uploads are open, and tier '{tier.name}' has {tier.max_uploads}: use one or let it expire"
        raise errors.UploadQuota(issue, details={"limit": tier.max_uploads, "used": used.open})
    if used.bytes + size > tier.max_upload_bytes:
        issue = f"Uploads of {used.bytes} bytes are kept, and tier '{tier.name}' has {tier.max_upload_bytes}"
        raise errors.UploadQuota(issue, details={"limit": tier.max_upload_bytes, "used": used.bytes, "size": size})


def form(
    store: Store, upload_id: uuid.UUID, *, content_type: str, size: int, sha256: str | None, expires_s: int
) -> Any:
    """Where and how to send the file: a POST to `url` of `fields` and then the file, by anybody who has them."""
    digest = _base64(sha256) if sha256 else None
    return store.presign_post(key(upload_id), content_type=content_type, size=size, sha256=digest, expires_s=expires_s)


def use(engine: sqlalchemy.Engine, store: Store, tenant_id: uuid.UUID, upload_id: uuid.UUID) -> File:
    """The file for a job; raises UploadNotFound, and InvalidInput while nothing was uploaded: the place is open then,
    as it was. Raises Unavailable."""
    parameters = {"id": upload_id, "tenant_id": tenant_id, "unused_s": UNUSED_S}
    with database.reading(engine) as connection:
        if connection.execute(_IS_THERE, parameters).first() is None:
            raise errors.UploadNotFound
    head = store.head(key(upload_id))
    if head is None:
        raise errors.InvalidInput.field("upload_id", "has no file yet; send it to the upload's url first")
    with engine.begin() as connection:
        row = connection.execute(_USE, parameters).first()
    if row is None:
        raise errors.UploadNotFound
    kind = content_types.canonical(row.content_type) or row.content_type
    rows = ROWS.get(kind) or by_name(row.filename or "")
    return File(key(upload_id), head.etag, head.size, row.sha256, kind, rows)


def purge(engine: sqlalchemy.Engine, store: Store) -> int:
    """Forget what nobody used in time, and what no job can need any more; returns how many. Raises Unavailable."""
    with engine.connect() as connection:
        over = list(connection.execute(_OVER, {"unused_s": UNUSED_S, "limit": LIMIT}).scalars())
    for upload_id in over:
        store.delete_all(key(upload_id))
    with engine.begin() as connection:
        connection.execute(_PURGE, {"ids": over})
    return len(over)


def by_name(filename: str) -> str | None:
    """How rows are written, by the ending of the file's name."""
    stem = filename.lower().removesuffix(".gz")
    return next((form for ending, form in ENDINGS.items() if stem.endswith(ending)), None)


def _base64(sha256: str) -> str:
    """S3 wants base64, people have hex; raises InvalidInput."""
    try:
        digest = bytes.fromhex(sha256) if len(sha256) == 64 else base64.b64decode(sha256, validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if len(digest) != 32:
        raise errors.InvalidInput.field("sha256", "must be a SHA-256 in hex or base64")
    return base64.b64encode(digest).decode()
