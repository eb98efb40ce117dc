"""The trials of canaries, as rows: they follow what the routes say. Whoever changes them holds the model's row."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database, errors
from registry.judging.trial import Bad, Sums, Trial
from registry.routes import By, Canary, Routes

RUNNING, ROLLED_BACK, PROMOTED, REMOVED = STATES = ("running", "rolled_back", "promoted", "removed")
#: Nothing became of any.
REMOVED_ALL: Mapping[str, str] = {}

_RUNNING = text("""
SELECT name, version, stable, rules, share, share_since, seen FROM canaries WHERE model = :model AND state = 'running'
""")
_BEGIN = text("""
INSERT INTO canaries (model, name, version, stable, rules, share, seen, evidence)
VALUES (:model, :name, :version, :stable, :rules, :share, '{}', '{}')
ON CONFLICT (model, name) DO UPDATE SET version = excluded.version, stable = excluded.stable, rules = excluded.rules,
  share = excluded.share, share_since = clock_timestamp(), since = clock_timestamp(), state = 'running',
  ended_at = NULL, ended_by = NULL, seen = '{}', evidence = '{}'
RETURNING share_since
""")
_FORGET = text("DELETE FROM canary_units WHERE model = :model AND name = :name")
_SHARE = text("""
UPDATE canaries SET share = :share, share_since = clock_timestamp(), seen = CAST(:seen AS json)
WHERE model = :model AND name = :name RETURNING share_since
""")
_END = text("""
UPDATE canaries SET state = :state, ended_at = clock_timestamp(), ended_by = :by
WHERE model = :model AND name = :name
""")
_SAVE = text("""
UPDATE canaries SET seen = CAST(:seen AS json), evidence = CAST(:evidence AS json)
WHERE model = :model AND name = :name
""")
_UNITS = text("""
INSERT INTO canary_units (model, name, metric, unit, gone_at)
SELECT :model, :name, metric, unit, now() + make_interval(secs => :kept_s)
FROM unnest(CAST(:metrics AS text[]), CAST(:units AS bytea[])) AS new (metric, unit)
ON CONFLICT DO NOTHING RETURNING metric, unit
""")
# An array is made once: a subquery, which a plan may read again for each row, would lock more than its limit.
_GONE = text("""
DELETE FROM canary_units WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM canary_units WHERE gone_at <= now() ORDER BY gone_at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")
_OLD = text("DELETE FROM canaries WHERE ended_at < now() - make_interval(days => :days)")
#: For so long what became of a canary is kept.
SHOWN_DAYS = 90
#: For so long a request is known that has had its bad event: what it may be told of again, a retry's, comes sooner.
KEPT_S = 3600.0
LIMIT = 5000
_SHOWN = """
SELECT model, name AS canary, version, stable, state, since, ended_at, ended_by, evidence FROM canaries
WHERE model = :model
"""
_LISTED = text(f"{_SHOWN} ORDER BY ended_at DESC NULLS FIRST, name LIMIT :most")
_ONE = text(f"{_SHOWN} AND name = :name")
#: Of a model so many are shown, those that run and those that ended last.
MOST_SHOWN = 100


@dataclass(frozen=True)
class Shown:
    """A canary as operators see it; `evidence` is as `Trial.told` says, and empty before anything was seen."""

    model: str
    canary: str
    version: str
    stable: str
    state: str
    since: dt.datetime
    ended_at: dt.datetime | None
    ended_by: str | None
    evidence: Mapping[str, Any]

    def told(self) -> dict[str, Any]:
        moments = {"since": self.since.isoformat(), "ended_at": self.ended_at and self.ended_at.isoformat()}
        return {**vars(self), **moments}


def listed(connection: sqlalchemy.Connection, model: str) -> list[Shown]:
    """Of a model, those that run and the last of each name, by their names; MOST_SHOWN of them."""
    rows = connection.execute(_LISTED, {"model": model, "most": MOST_SHOWN})
    return sorted((Shown(**row._mapping) for row in rows), key=lambda item: item.canary)


def find(connection: sqlalchemy.Connection, model: str, name: str) -> Shown:
    """The canary of this name, or the last one, however many have ended since; raises InvalidInput."""
    row = connection.execute(_ONE, {"model": model, "name": name}).one_or_none()
    if row is None:
        raise errors.InvalidInput.field("canary", f"{model} has no canary {name!r}, and none that ended lately")
    return Shown(**row._mapping)


def follow(
    connection: sqlalchemy.Connection,
    model: str,
    stable: str,
    routes: Routes,
    *,
    ended: Mapping[str, str] = REMOVED_ALL,
    by: str = "",
) -> list[Trial]:
    """Bring the trials to what a model's routes say, and return those that run; `ended` is what became of canaries that
    are not there any more, which else were removed. What is compared, or how, having changed, a trial begins anew."""
    rows = {row.name: row for row in connection.execute(_RUNNING, {"model": model})}
    found = [_following(connection, model, stable, routes, canary, rows.get(canary.name)) for canary in routes.canaries]
    for name in rows.keys() - {canary.name for canary in routes.canaries}:
        connection.execute(_END, {"model": model, "name": name, "state": ended.get(name, REMOVED), "by": by})
        connection.execute(_FORGET, {"model": model, "name": name})
    return found


def _following(
    connection: sqlalchemy.Connection, model: str, stable: str, routes: Routes, canary: Canary, row: Any
) -> Trial:
    rules = database.dumps([routes.by, canary.judge.tolerance, canary.judge.level])
    mine = {"model": model, "name": canary.name, "share": routes.share(canary)}
    compared = {"version": canary.version, "stable": stable, "rules": rules}
    sums = Sums()
    if row is None or (row.version, row.stable, row.rules) != tuple(compared.values()):
        connection.execute(_FORGET, mine)
        since = connection.execute(_BEGIN, {**mine, **compared}).scalar_one()
    elif row.share != mine["share"]:
        sums = dataclasses.replace(Sums.of(row.seen), step=0)
        since = connection.execute(_SHARE, {**mine, "seen": _stored(sums)}).scalar_one()
    else:
        sums, since = Sums.of(row.seen), row.share_since
    return Trial(model, canary.name, routes.share(canary), since, canary.judge, routes.by, sums)


def once(connection: sqlalchemy.Connection, trial: Trial, bad: Sequence[Bad]) -> list[Bad]:
    """Those of units that have had none before, in this trial and by this metric."""
    first = {(item.metric, item.unit): item for item in reversed(bad)}
    values = {"model": trial.model, "name": trial.name, "kept_s": KEPT_S if trial.by is By.REQUEST else None}
    given = {"metrics": [metric for metric, _ in first], "units": [unit for _, unit in first]}
    rows = connection.execute(_UNITS, {**values, **given}).all() if first else []
    new = {(row.metric, bytes(row.unit)) for row in rows}
    return [item for item in bad if first[item.metric, item.unit] is item and (item.metric, item.unit) in new]


def purge(engine: sqlalchemy.Engine) -> int:
    """Forget requests that had a bad event long ago, LIMIT at most, and canaries that ended long ago; returns how many
    there were of the first, of which there may be more."""
    with engine.begin() as connection:
        connection.execute(_OLD, {"days": SHOWN_DAYS})
        return connection.execute(_GONE, {"limit": LIMIT}).rowcount


def save(connection: sqlalchemy.Connection, trial: Trial) -> None:
    """What was seen of a canary, which still runs as long as the model's row is held."""
    values = {"model": trial.model, "name": trial.name, "evidence": database.dumps(trial.told())}
    connection.execute(_SAVE, {**values, "seen": _stored(trial.sums)})


def _stored(sums: Sums) -> str:
    return database.dumps(dataclasses.asdict(sums))
