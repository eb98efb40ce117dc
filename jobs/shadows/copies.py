"""What shadows are still to be asked. Whoever takes a copy is the only one to have it: it is gone from here, whatever
comes of it, so nothing is asked twice, and nobody has to look after what a dead worker held."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database
from jobs.shadows.answer import Brief

#: So many wait at most, and so many more as all processes put in at the same moment; for so long.
MOST, KEEP_S = 10_000, 900
#: A comparison is whole when it has so many pairs; then nothing more is asked for it.
WHOLE = 20_000
LIMIT = 500

_WORDS = ("pool", "model", "name", "version", "stable_version", "request_id")
_TYPES = {
    **dict.fromkeys(_WORDS, "text"), "place": "int", "stable_label": "text", "stable_confidence": "float",
    "stable_number": "float", "stable_error": "text", "stable_ms": "float", "inputs": "text",
}  # fmt: skip
_NAMES = ", ".join(_TYPES)
_PUT = text(f"""
WITH mine AS MATERIALIZED (
  SELECT * FROM unnest({", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _TYPES.items())}) AS mine ({_NAMES})
), open AS MATERIALIZED (
  SELECT * FROM (SELECT DISTINCT model, name, version, stable_version FROM mine) AS named
  WHERE NOT EXISTS (SELECT FROM shadow_copies OFFSET :most - 1) AND NOT EXISTS (
    SELECT FROM shadow_pairs AS pairs WHERE pairs.model = named.model AND pairs.name = named.name
      AND pairs.version = named.version AND pairs.stable_version = named.stable_version OFFSET :whole - 1
  )
)
INSERT INTO shadow_copies ({_NAMES}, expires_at)
SELECT {_NAMES.replace("inputs", "CAST(inputs AS json)")}, now() + make_interval(secs => :keep_s)
FROM mine JOIN open USING (model, name, version, stable_version) RETURNING model
""")  # noqa: S608 - constants only
_TAKE = text("""
WITH head AS MATERIALIZED (
  SELECT model, version FROM shadow_copies WHERE pool = :pool AND expires_at > now() ORDER BY id LIMIT 1
), picked AS MATERIALIZED (
  SELECT id FROM shadow_copies JOIN head USING (model, version) WHERE pool = :pool AND expires_at > now()
  ORDER BY id LIMIT :limit FOR UPDATE OF shadow_copies SKIP LOCKED
)
DELETE FROM shadow_copies AS copies USING picked WHERE copies.id = picked.id RETURNING copies.*
""")
# There are MOST of them, which are read in no time.
_PURGE = text("""
DELETE FROM shadow_copies WHERE id = ANY (
  ARRAY(SELECT id FROM shadow_copies WHERE expires_at <= now() LIMIT :limit FOR UPDATE SKIP LOCKED)
) RETURNING model
""")


@dataclass(frozen=True, slots=True)
class Copy:
    """An input, the shadow that is to be asked, and what the stable version said; `place` is the input's among those
    of its request."""

    pool: str
    model: str
    name: str
    version: str
    stable_version: str
    request_id: str
    place: int
    inputs: Mapping[str, Any]
    stable: Brief

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Copy:
        named = {item.name: row[item.name] for item in dataclasses.fields(cls) if item.name != "stable"}
        return cls(**named, stable=Brief.from_row(row, "stable"))


def put(engine: sqlalchemy.Engine, copies: Sequence[Copy]) -> Mapping[str, int]:
    """How many were taken, by their models; there is no place for others, or nothing more to be learnt from them."""
    rows = [_row(item) for item in copies]
    columns = {name: [row[name] for row in rows] for name in _TYPES}
    with engine.begin() as connection:
        given = {**columns, "whole": WHOLE, "most": MOST, "keep_s": KEEP_S}
        return Counter(connection.execute(_PUT, given).scalars())


def take(engine: sqlalchemy.Engine, pool: str, limit: int) -> list[Copy]:
    """The next ones of a pool, all for one version."""
    with engine.begin() as connection:
        rows = connection.execute(_TAKE, {"pool": pool, "limit": limit}).mappings().all()
    return [Copy.from_row(row) for row in sorted(rows, key=lambda row: row["id"])]


def purge(engine: sqlalchemy.Engine) -> Mapping[str, int]:
    """Forget LIMIT of those whose time is over; returns how many, by their models."""
    with engine.begin() as connection:
        return Counter(connection.execute(_PURGE, {"limit": LIMIT}).scalars())


def _row(copy: Copy) -> dict[str, Any]:
    words = {name: getattr(copy, name) for name in (*_WORDS, "place")}
    return {**words, **copy.stable.columns("stable"), "inputs": database.dumps(copy.inputs)}
