"""What the stable version and a shadow said to the same input. The input itself is not kept, only its digest."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database, errors
from jobs.shadows.answer import Brief
from jobs.shadows.copies import LIMIT, Copy

#: For how long a pair is kept.
KEEP_DAYS = 30

_ASKED = ("model", "name", "version", "stable_version", "request_id", "place")
_COLUMNS = (
    *_ASKED, "digest", *(f"{whose}_{name}" for whose in ("stable", "shadow") for name in Brief.__slots__),
)  # fmt: skip
_ADD = text(f"""
INSERT INTO shadow_pairs ({", ".join(_COLUMNS)}) VALUES ({", ".join(f":{name}" for name in _COLUMNS)})
""")  # noqa: S608 - constants only
# What is compared is what is compared now: a shadow of another version, or beside another one, is a new comparison.
_READ = text(f"""
WITH last AS (SELECT version, stable_version FROM shadow_pairs WHERE model = :model AND name = :name
              ORDER BY id DESC LIMIT 1)
SELECT {", ".join(_COLUMNS)} FROM shadow_pairs JOIN last USING (version, stable_version)
WHERE model = :model AND name = :name ORDER BY id
""")  # noqa: S608 - constants only
_NAMES = text("""
SELECT model, name, count(*) AS pairs, max(at) AS last_at FROM shadow_pairs GROUP BY model, name ORDER BY model, name
""")
_PURGE = text("""
DELETE FROM shadow_pairs WHERE id = ANY (
  ARRAY(SELECT id FROM shadow_pairs WHERE at < now() - make_interval(days => :days)
        ORDER BY at LIMIT :limit FOR UPDATE SKIP LOCKED)
) RETURNING id
""")


@dataclass(frozen=True)
class Pair:
    """An input's digest and where it came from, and both answers."""

    model: str
    name: str
    version: str
    stable_version: str
    request_id: str
    place: int
    digest: str
    stable: Brief
    shadow: Brief

    @classmethod
    def of(cls, copy: Copy, shadow: Brief) -> Pair:
        asked = {name: getattr(copy, name) for name in _ASKED}
        digest = hashlib.sha256(database.dumps(copy.inputs).encode()).hexdigest()
        return cls(**asked, digest=digest, stable=copy.stable, shadow=shadow)

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Pair:
        asked = {name: row[name] for name in (*_ASKED, "digest")}
        return cls(**asked, stable=Brief.from_row(row, "stable"), shadow=Brief.from_row(row, "shadow"))


@dataclass(frozen=True)
class Compared:
    """A shadow of which there are pairs."""

    model: str
    name: str
    pairs: int
    last_at: dt.datetime


def add(engine: sqlalchemy.Engine, pairs: Sequence[Pair]) -> None:
    rows = [
        {
            **{name: getattr(pair, name) for name in (*_ASKED, "digest")},
            **pair.stable.columns("stable"),
            **pair.shadow.columns("shadow"),
        }
        for pair in pairs
    ]
    with engine.begin() as connection:
        connection.execute(_ADD, rows)


def of(engine: sqlalchemy.Engine, model: str, name: str) -> list[Pair]:
    """Those of a shadow's latest version and the version beside it, as they came; raises NotFound."""
    rows = []
    if name.isprintable():  # what cannot be in a text of the database is the name of none
        with database.reading(engine) as connection:
            rows = list(connection.execute(_READ, {"model": model, "name": name}).mappings())
    if not rows:
        raise errors.NotFound(f"Nothing was compared with a shadow {name!r} of {model!r}")
    return [Pair.from_row(row) for row in rows]


def names(engine: sqlalchemy.Engine) -> list[Compared]:
    """Every shadow of which there are pairs."""
    with database.reading(engine) as connection:
        return [Compared(**row._mapping) for row in connection.execute(_NAMES)]


def purge(engine: sqlalchemy.Engine) -> int:
    """Forget LIMIT of the old ones; returns how many."""
    with engine.begin() as connection:
        return len(connection.execute(_PURGE, {"days": KEEP_DAYS, "limit": LIMIT}).all())
