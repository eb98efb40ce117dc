"""Bundles of versions that were removed: they go once no job needs them."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import text

from registry.shelf import bundle_key
from storage.objects import Store

#: A process that has not heard of the removal may accept a job for a moment longer.
AFTER_S = 3600
LIMIT = 10

_LEFT = text("""
SELECT model, version, digest FROM model_versions v
WHERE removed_at < now() - make_interval(secs => :after_s) AND forgotten_at IS NULL
  AND NOT EXISTS (SELECT FROM jobs WHERE status = 'pending' AND jobs.model = v.model AND jobs.version = v.version)
  AND NOT EXISTS (SELECT FROM jobs WHERE status = 'processing' AND jobs.model = v.model AND jobs.version = v.version)
LIMIT :limit
""")
_FORGOTTEN = text("""
UPDATE model_versions SET forgotten_at = now()
WHERE model = :model AND version = :version AND removed_at IS NOT NULL AND forgotten_at IS NULL
""")


def purge(engine: sqlalchemy.Engine, store: Store) -> int:
    """Remove from the store what nobody can ask for any more; at most LIMIT bundles, returns how many. A bundle's
    digest is its own, as the model's name and the version are part of it. Raises Unavailable."""
    with engine.connect() as connection:
        left = connection.execute(_LEFT, {"after_s": AFTER_S, "limit": LIMIT}).all()
    for row in left:
        store.delete_all(bundle_key(row.digest))
        with engine.begin() as connection:
            connection.execute(_FORGOTTEN, {"model": row.model, "version": row.version})
    return len(left)
