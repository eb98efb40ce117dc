"""Housekeeping of jobs and of what belongs to them. Every statement is bounded and skips locked rows, so that any
number of processes may do it at once."""

from __future__ import annotations

import functools

import sqlalchemy
from sqlalchemy import text

from core import broker, metrics
from core.chores import Chore
from jobs import idempotency, presence, removed, rescue, retention, uploads
from jobs.bulk import progress
from jobs.job import Status
from jobs.shadows import copies, pairs
from registry import unlisted
from registry.judging import trials
from storage.objects import Store

LIMIT = 500

# Two statements, each on its own partial index: what waits by its expiry (`lower` is the word by which that index is
# known, and no claim says it), what runs through the few leases there are.
# A worker that holds an expired job learns it from its next heartbeat.
_EXPIRE = """
UPDATE jobs SET status = 'expired', error = '{{"code": "EXPIRED", "message": "Not done before expires_at"}}'
WHERE id = ANY (ARRAY(SELECT id FROM jobs WHERE {status} AND expires_at <= now()
                      ORDER BY {order} LIMIT :limit FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_EXPIRE_PENDING = text(_EXPIRE.format(status="lower(status) = 'pending'", order="expires_at"))
_EXPIRE_PROCESSING = text(_EXPIRE.format(status="status = 'processing'", order="lease_expires_at"))
_EXPIRE_BY = {Status.PENDING: _EXPIRE_PENDING, Status.PROCESSING: _EXPIRE_PROCESSING}

_DUE = text("""
SELECT EXISTS (
  SELECT FROM jobs WHERE status = 'pending' AND pool = :pool AND not_before <= now() AND expires_at > now()
) OR EXISTS (SELECT FROM shadow_copies WHERE pool = :pool AND expires_at > now())
""")


def of_jobs(engine: sqlalchemy.Engine, hints: broker.Hints, store: Store, *, max_losses: int) -> list[Chore]:
    """What keeps jobs going, and forgets them in the end."""
    return [
        Chore("rescue", 2, lambda: rescue.lease_over(engine, max_losses=max_losses)),
        Chore("expire", 2, lambda: sum(expire(engine, status) for status in _EXPIRE_BY)),
        Chore("advance", 2, functools.partial(advance, engine, hints)),
        Chore("wake", 2, functools.partial(wake, engine, hints)),
        Chore("forget jobs", 2, lambda: retention.purge(engine, store)),
        Chore("forget uploads", 2, lambda: uploads.purge(engine, store)),
        Chore("forget keys", 2, lambda: idempotency.purge(engine)),
        Chore("forget models", 60, lambda: removed.purge(engine, store)),
        Chore("forget bundles", 600, lambda: unlisted.purge(engine, store)),
        Chore("forget canaries", 2, lambda: trials.purge(engine)),
        Chore("forget shadows", 2, lambda: forget_shadows(engine)),
        Chore("forget workers", 60, lambda: presence.purge(engine)),
    ]


def expire(engine: sqlalchemy.Engine, status: Status) -> int:
    """End what is in this status, pending or processing, past its `expires_at`; at most LIMIT jobs, returns how
    many."""
    with engine.begin() as connection:
        return len(connection.execute(_EXPIRE_BY[status], {"limit": LIMIT}).all())


def advance(engine: sqlalchemy.Engine, hints: broker.Hints) -> int:
    """Bring bulk jobs to where their chunks are; returns how many pools have one to put together."""
    pools = progress.advance(engine)
    for pool in pools:
        hints.send(pool)
    return len(pools)


def wake(engine: sqlalchemy.Engine, hints: broker.Hints) -> int:
    """Wake every pool that has a job due; returns how many were not awake already."""
    with engine.connect() as connection:
        due = [pool for pool in broker.POOLS if connection.execute(_DUE, {"pool": pool}).scalar_one()]
    return sum(hints.send(pool) for pool in due)


def forget_shadows(engine: sqlalchemy.Engine) -> int:
    """What nobody had time to ask shadows, and what they said long ago; returns how many of both."""
    late = copies.purge(engine)
    for model, count in late.items():
        metrics.SHADOWS.labels(model, "expired").inc(count)
    return sum(late.values()) + pairs.purge(engine)
