"""Bundles that lie in the store and that no version has: of a publishing that was canceled or killed in between."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import text

from registry.shelf import BUNDLES, bundle_key
from storage.objects import Store

#: What is being published is stored before it is listed.
AFTER_S = 86_400
LIMIT = 100

_NEEDED = text("SELECT digest FROM model_versions WHERE forgotten_at IS NULL")


def purge(engine: sqlalchemy.Engine, store: Store) -> int:
    """Remove from the store what has lain there for AFTER_S without being listed, nor removed and still needed; at most
    LIMIT bundles, returns how many. Raises Unavailable."""
    # First what there is: what is listed meanwhile is needed.
    stored = list(store.old(BUNDLES, AFTER_S))
    needed = _needed(engine)
    over = [key for key in stored if key not in needed][:LIMIT]
    return sum(_purged(engine, store, key) for key in over)


def _purged(engine: sqlalchemy.Engine, store: Store, key: str) -> bool:
    """Unless it is being published again: it is stored anew then, and listed after that."""
    if not [*store.old(key, AFTER_S)] or key in _needed(engine):
        return False
    store.delete_all(key)
    return True


def _needed(engine: sqlalchemy.Engine) -> set[str]:
    with engine.connect() as connection:
        return {bundle_key(digest) for digest in connection.execute(_NEEDED).scalars()}
