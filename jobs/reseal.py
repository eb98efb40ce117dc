"""Sealing anew what is in the database, after the secret key has changed, or how it is used.

Each value is written by compare-and-swap, in a transaction of its own: so it can be done twice, beside a platform that
runs, and be killed at any moment, and nobody ever waits for more than one row.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import errors
from core.seal import Context, Seal
from jobs import kinds
from jobs.job import Job
from webhooks import signing_keys

LIMIT = 500

_ROWS = text("SELECT (SELECT count(*) FROM webhook_secrets) + (SELECT count(*) FROM jobs)")
_FIRST = "00000000-0000-0000-0000-000000000000"
_SECRETS = text("""
SELECT id, tenant_id, endpoint_id, sealed FROM webhook_secrets WHERE id > :after ORDER BY id LIMIT :limit
""")
# All of them, so that a step reads LIMIT rows and no more: there may be millions, of which few are made from files.
_JOBS = text("""
SELECT id, tenant_id, kind, CASE WHEN kind = ANY (:kinds) THEN inputs END AS inputs
FROM jobs WHERE id > :after ORDER BY id LIMIT :limit
""")
_INPUTS = text("SELECT inputs FROM jobs WHERE id = :id AND tenant_id = :tenant_id")
_SWAP_SECRET = text("UPDATE webhook_secrets SET sealed = :new WHERE id = :id AND sealed = :old")
# Nothing else of the inputs is touched, not even how they are written; and ->> would refuse those that hold \u0000.
_SWAP_INPUT = text("""
UPDATE jobs SET inputs = CAST(replace(CAST(inputs AS text), '"' || :old || '"', '"' || :new || '"') AS json)
WHERE id = :id AND strpos(CAST(inputs AS text), '"' || :old || '"') > 0
""")


@dataclass
class Tally:
    """What came of some rows. What somebody else changed or removed meanwhile counts as a row, and as nothing else."""

    rows: int = 0
    resealed: int = 0
    right: int = 0
    lost: list[str] = field(default_factory=list)  #: where those lie that do not open

    def add(self, other: Tally) -> None:
        self.rows += other.rows
        self.resealed += other.resealed
        self.right += other.right
        self.lost += other.lost


@dataclass(frozen=True)
class _Value:
    """A sealed value, and how it is replaced where it lies."""

    where: str
    context: Context
    sealed: str
    swap: sqlalchemy.TextClause
    id: uuid.UUID


def rows(engine: sqlalchemy.Engine) -> int:
    """How many there are to look at."""
    with engine.connect() as connection:
        return int(connection.execute(_ROWS).scalar_one())


def steps(engine: sqlalchemy.Engine, seal: Seal) -> Iterator[Tally]:
    """Seal everything under the current key and scheme, LIMIT rows a step."""
    for select, values_of in ((_SECRETS, _of_secret), (_JOBS, _of_job)):
        after: Any = _FIRST
        while found := _read(engine, select, after):
            after = found[-1].id
            tally = Tally(rows=len(found))
            for value in (value for row in found for value in values_of(row)):
                _renew(engine, seal, value, tally)
            yield tally


def copied(
    engine: sqlalchemy.Engine, seal: Seal, old: Job, new_id: uuid.UUID, *, tenant_id: uuid.UUID
) -> dict[str, Any] | None:
    """The inputs of a job for the one that repeats it, None where they may be copied as they are; raises SecretLost."""
    sealed = kinds.find(old.kind).sealed
    if not sealed:
        return None
    with engine.connect() as connection:
        inputs: dict[str, Any] = connection.execute(_INPUTS, {"id": old.id, "tenant_id": tenant_id}).scalar() or {}
    present = {name: purpose for name, purpose in sealed.items() if name in inputs}
    for name, purpose in present.items():
        url = seal.open(inputs[name], Context(purpose, tenant_id, old.id))
        inputs[name] = seal.seal(url, Context(purpose, tenant_id, new_id))
    return inputs if present else None


def _read(engine: sqlalchemy.Engine, select: sqlalchemy.TextClause, after: Any) -> list[sqlalchemy.Row[Any]]:
    names = {"after": after, "limit": LIMIT, "kinds": [kind.name for kind in kinds.KINDS.values() if kind.sealed]}
    with engine.connect() as connection:
        return list(connection.execute(select, names))


def _renew(engine: sqlalchemy.Engine, seal: Seal, value: _Value, tally: Tally) -> None:
    try:
        new = seal.renewed(value.sealed, value.context)
    except errors.SecretLost:
        tally.lost.append(value.where)
        return
    if new == value.sealed:
        tally.right += 1
        return
    with engine.begin() as connection:
        tally.resealed += connection.execute(value.swap, {"id": value.id, "old": value.sealed, "new": new}).rowcount


def _of_secret(row: sqlalchemy.Row[Any]) -> Iterator[_Value]:
    context = signing_keys.context((row.tenant_id, row.endpoint_id))
    yield _Value(f"webhook_secrets {row.id}", context, row.sealed, _SWAP_SECRET, row.id)


def _of_job(row: sqlalchemy.Row[Any]) -> Iterator[_Value]:
    if row.inputs is None:
        return
    for name, purpose in kinds.find(row.kind).sealed.items():
        if name in row.inputs:
            context = Context(purpose, row.tenant_id, row.id)
            yield _Value(f"jobs {row.id} {name}", context, row.inputs[name], _SWAP_INPUT, row.id)
