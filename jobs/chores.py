"""Housekeeping of jobs and of what belongs to them. Every statement is bounded and skips locked rows, so that any
number of processes may do it at once."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from core import broker, metrics
from core.chores import Chore
from jobs import fairness, idempotency, presence, removed, rescue, retention, uploads
from jobs.bulk import progress
from jobs.floors import Floors, before
from jobs.job import Status
from jobs.shadows import copies, pairs
from registry import unlisted
from registry.judging import trials
from storage.objects import Store

LIMIT = 500
_NEVER = dt.datetime.fromtimestamp(0, dt.UTC)

# Two statements, each on its own partial index: what waits by its expiry (`lower` is the word by which that index is
# known, and no claim says it), what runs through the few leases there are.
# A worker that holds an expired job learns it from its next heartbeat.
_EXPIRE = """
UPDATE jobs SET status = 'expired', error = '{{"code": "EXPIRED", "message": "Not done before expires_at"}}'
WHERE id = ANY (ARRAY(SELECT id FROM jobs WHERE {status} AND expires_at <= now()
                      {behind} ORDER BY {order} LIMIT :limit FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_EXPIRE_PENDING = text(_EXPIRE.format(status="lower(status) = 'pending'", order="expires_at", behind=""))
_EXPIRE_PROCESSING = text(
    _EXPIRE.format(
        status="status = 'processing'",
        order="lease_expires_at",
        behind="AND lease_expires_at >= coalesce(CAST(:floor AS timestamptz), '-infinity')",
    )
)
_EXPIRE_BY = {Status.PENDING: _EXPIRE_PENDING, Status.PROCESSING: _EXPIRE_PROCESSING}

_DUE = text("""
SELECT priority, kind, fair_at, now() AS seen_at FROM jobs
WHERE status = 'pending' AND pool = :pool AND not_before <= now() AND expires_at > now()
  AND fair_at >= coalesce(CAST(:floor AS timestamptz), '-infinity')
ORDER BY fair_at, id LIMIT 1
""")
_COPIES = text("SELECT EXISTS (SELECT FROM shadow_copies WHERE pool = :pool AND expires_at > now())")
_NOW = text("SELECT now()")


@dataclass(frozen=True)
class _Swept:
    """How many were found, and before where nobody is who could be found later."""

    count: int
    floor: dt.datetime


def of_jobs(engine: sqlalchemy.Engine, hints: broker.Hints, store: Store, *, max_losses: int) -> list[Chore]:
    """What keeps jobs going, and forgets them in the end."""
    floors = Floors()

    def take_back(floor: dt.datetime | None) -> int:
        return rescue.lease_over(engine, max_losses=max_losses, floor=floor)

    def end(floor: dt.datetime | None) -> int:
        return expire(engine, Status.PROCESSING, floor)

    return [
        Chore("rescue", 2, lambda: _behind(engine, floors, "rescue", take_back), rescue.LIMIT),
        Chore("expire", 2, lambda: expire(engine, Status.PENDING) + _behind(engine, floors, "expire", end), LIMIT),
        Chore("advance", 2, functools.partial(advance, engine, hints)),
        Chore("wake", 2, functools.partial(wake, engine, hints, floors)),
        Chore("forget jobs", 2, lambda: retention.purge(engine, store), retention.LIMIT),
        Chore("forget uploads", 60, lambda: uploads.purge(engine, store), uploads.LIMIT),
        Chore("forget keys", 2, lambda: idempotency.purge(engine), idempotency.LIMIT),
        Chore("forget models", 60, lambda: removed.purge(engine, store)),
        Chore("forget bundles", 600, lambda: unlisted.purge(engine, store)),
        Chore("forget canaries", 2, lambda: trials.purge(engine)),
        Chore("forget shadows", 2, lambda: forget_shadows(engine)),
        Chore("forget workers", 60, lambda: presence.purge(engine)),
    ]


def _behind(engine: sqlalchemy.Engine, floors: Floors, name: str, sweep: Callable[[dt.datetime | None], int]) -> int:
    """What a sweep over leases finds. A lease is never made to end before now: where all that was over was found, only
    what ends later can be found later, but for what was locked then."""

    def look(floor: dt.datetime | None) -> _Swept:
        with engine.connect() as connection:
            now = connection.execute(_NOW).scalar_one()
        count = sweep(floor)
        return _Swept(count, now if count < LIMIT else floor or _NEVER)

    swept = floors.look(name, look)
    return swept.count if swept else 0


def expire(engine: sqlalchemy.Engine, status: Status, floor: dt.datetime | None = None) -> int:
    """End what is in this status, pending or processing, past its `expires_at`, of what runs only leases that end
    behind `floor` if that is given; at most LIMIT jobs, returns how many."""
    behind = {"floor": floor} if status is Status.PROCESSING else {}
    with engine.begin() as connection:
        return len(connection.execute(_EXPIRE_BY[status], {"limit": LIMIT, **behind}).all())


def advance(engine: sqlalchemy.Engine, hints: broker.Hints) -> int:
    """Bring bulk jobs to where their chunks are; returns how many pools have one to put together."""
    pools = progress.advance(engine)
    for pool in pools:
        hints.send(pool)
    return len(pools)


def wake(engine: sqlalchemy.Engine, hints: broker.Hints, floors: Floors) -> int:
    """Wake every pool that has a job due; returns how many were not awake already."""
    return sum(hints.send(pool) for pool in broker.POOLS if _is_due(engine, floors, pool))


def _is_due(engine: sqlalchemy.Engine, floors: Floors, pool: str) -> bool:
    def head(floor: dt.datetime | None) -> _Swept | None:
        with engine.connect() as connection:
            row = connection.execute(_DUE, {"pool": pool, "floor": floor}).first()
        return None if row is None else _Swept(1, before(fairness.start(row), row.seen_at))

    if floors.look(pool, head):
        return True
    with engine.connect() as connection:
        return bool(connection.execute(_COPIES, {"pool": pool}).scalar_one())


def forget_shadows(engine: sqlalchemy.Engine) -> int:
    """What nobody had time to ask shadows, and what they said long ago; returns how many of both."""
    late = copies.purge(engine)
    for model, count in late.items():
        metrics.SHADOWS.labels(model, "expired").inc(count)
    return sum(late.values()) + pairs.purge(engine)
