"""Whether this process can answer requests."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import broker, database, errors
from registry.catalog import Catalog
from storage.objects import Store


def check(engine: sqlalchemy.Engine, store: Store, catalog: Catalog, line: broker.Line) -> dict[str, Any]:
    """`status` is `ready` when the database is there and the stable models open; `checks` says what answers."""
    checks = {"database": _database(engine), "redis": line.ping(), "storage": store.ping()}
    loaded = checks["database"] and _opens(catalog)
    status = "ready" if loaded else "unavailable"
    return {"status": status, "model_loaded": loaded, "models": catalog.loaded(), "checks": checks}


def _database(engine: sqlalchemy.Engine) -> bool:
    try:
        with engine.connect() as connection:
            return bool(connection.execute(text("SELECT true")).scalar())
    except database.OUTAGES:
        return False


def _opens(catalog: Catalog) -> bool:
    try:
        inline = [item for item in catalog.versions() if item.stable and item.manifest.inline]
        for item in inline:
            catalog.open(catalog.resolve(item.model, item.version))
    except errors.CoatcheckError:
        return False
    return bool(inline)
