"""Housekeeping, one chore at a time: what each room wants done again and again, and when it was last done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

#: A chore whose last success is so much longer ago than it should be is called late.
LATE_S = 60.0

# A chore that a later version of the platform does not know any more is nobody's.
_DONE = text("""
WITH gone AS (DELETE FROM chores WHERE name <> ALL (:names))
INSERT INTO chores (name, every_s) VALUES (:name, :every_s)
ON CONFLICT (name) DO UPDATE SET every_s = excluded.every_s, succeeded_at = now()
""")
_BEGUN = text("""
INSERT INTO chores (name, every_s) SELECT * FROM unnest(CAST(:names AS text[]), CAST(:times AS float[]))
ON CONFLICT (name) DO NOTHING
""")
_ALL = text("""
SELECT name, succeeded_at, greatest(0, extract(epoch FROM now() - succeeded_at) - every_s)::float AS late_s
FROM chores ORDER BY name
""")


@dataclass(frozen=True)
class Chore:
    """One thing to do every so many seconds, in small bounded steps: `run` does one and returns how much it did, and
    `step` of it or more says that there is more to do. Any number of processes may do it at once."""

    name: str
    every_s: float
    run: Callable[[], int]
    step: int | None = None


@dataclass(frozen=True)
class Done:
    """A chore as it stands: its last success, or when it was first to be done, and for how many seconds it is due."""

    name: str
    succeeded_at: dt.datetime
    late_s: float

    @property
    def at_s(self) -> float:
        """In epoch seconds."""
        return self.succeeded_at.timestamp()


def begun(engine: sqlalchemy.Engine, todo: Sequence[Chore]) -> None:
    """Write down those that nobody has done yet: one that never succeeds is missed as well."""
    with engine.begin() as connection:
        values = {"names": [item.name for item in todo], "times": [item.every_s for item in todo]}
        connection.execute(_BEGUN, values)


def done(engine: sqlalchemy.Engine, chore: Chore, names: Sequence[str]) -> None:
    """Write down that a chore succeeded just now; `names` are all there are."""
    with engine.begin() as connection:
        connection.execute(_DONE, {"name": chore.name, "every_s": chore.every_s, "names": list(names)})


def standing(engine: sqlalchemy.Engine) -> list[Done]:
    """Every chore that there is to do."""
    with engine.connect() as connection:
        return [Done(**row._mapping) for row in connection.execute(_ALL)]
