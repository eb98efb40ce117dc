"""How a bundle becomes a version of a model: the rows that say so, and what is said of who made them."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import text

from core import audit, database, errors
from core.audit import Actor
from inference.bundle import Bundle
from inference.manifest import Manifest
from registry import lifecycle

_MODEL = text("""
INSERT INTO models (name, stable_version) VALUES (:model, :version)
ON CONFLICT (name) DO UPDATE SET
  stable_version = CASE WHEN EXISTS (
    SELECT FROM model_versions WHERE model = models.name AND version = models.stable_version AND removed_at IS NOT NULL
  ) THEN excluded.stable_version ELSE models.stable_version END
""")
_VERSION = text("""
INSERT INTO model_versions (model, version, digest, manifest, max_batch, card)
VALUES (:model, :version, :digest, CAST(:manifest AS json), :max_batch, :card)
ON CONFLICT (model, version) DO NOTHING
""")
_HOLD = text("SELECT FROM models WHERE name = :model FOR UPDATE")
_STANDS = text("""
SELECT digest, removed_at FROM model_versions WHERE model = :model AND version = :version
""")
_CARD = text("SELECT card FROM model_versions WHERE model = :model AND version = :version")


def add(connection: sqlalchemy.Connection, loaded: Bundle, *, stable: bool, by: Actor) -> bool:
    """Whether it is new. The first version of a model is its stable one.

    Raises BundleInvalid when its version is taken, VersionConflict where it was removed or may not be stable, and
    InvalidInput where the model's routes do not go with that.
    """
    manifest = loaded.manifest
    values = {
        "model": manifest.name, "version": manifest.version, "digest": loaded.digest, "card": loaded.card,
        "manifest": database.dumps(manifest.to_dict()), "max_batch": manifest.max_batch,
    }  # fmt: skip
    # Whoever changes a model holds its row.
    connection.execute(_HOLD, values)
    connection.execute(_MODEL, values)
    new = connection.execute(_VERSION, values).rowcount == 1
    stands = connection.execute(_STANDS, values).one()
    if stands.digest != loaded.digest:
        raise taken(manifest, stands.digest)
    # Whoever ends a version holds the model's row as well: as it stands now, it is when this is committed.
    if stands.removed_at:
        raise errors.VersionConflict(f"{manifest.name} {manifest.version} was removed meanwhile")
    if new:
        after = {"version": manifest.version, "digest": loaded.digest}
        audit.record(connection, by, "model.publish", f"model:{manifest.name}", after=after)
    if stable:
        lifecycle.become_stable(connection, manifest.name, manifest.version, by)
    return new


def published(connection: sqlalchemy.Connection, manifest: Manifest) -> str | None:
    """The digest of what stands under this model's version already."""
    found = connection.execute(_STANDS, {"model": manifest.name, "version": manifest.version})
    return found.scalar_one_or_none()


def taken(manifest: Manifest, digest: str) -> errors.BundleInvalid:
    """What is said where something else stands under its version."""
    return errors.BundleInvalid(
        f"{manifest.name} {manifest.version} is already published with other contents",
        details={"field": "version", "issue": "is taken; raise it", "published_digest": digest},
    )


def card(connection: sqlalchemy.Connection, model: str, version: str) -> str | None:
    """What its bundle says of it for people, in Markdown; None where it says nothing."""
    return connection.execute(_CARD, {"model": model, "version": version}).scalar_one_or_none()
