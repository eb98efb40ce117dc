"""Housekeeping: every statement bounded, locked rows skipped, so any number of sweepers may run at once."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy
import structlog
from sqlalchemy import text

from core import broker, errors
from jobs import presence, rescue, retention
from jobs.bulk import progress
from jobs.job import Status
from storage.objects import Store
from webhooks import outbox
from webhooks import sweep as webhooks

log = structlog.get_logger()

LIMIT = 500

# Two statements, each on its own partial index: what waits by its expiry, what runs through the few leases there are.
# A worker that holds an expired job learns it from its next heartbeat.
_EXPIRE = """
UPDATE jobs SET status = 'expired', error = '{{"code": "EXPIRED", "message": "Not done before expires_at"}}'
WHERE id = ANY (ARRAY(SELECT id FROM jobs WHERE status = '{status}' AND expires_at <= now()
                      ORDER BY {order} LIMIT :limit FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_EXPIRE_PENDING = text(_EXPIRE.format(status="pending", order="expires_at"))
_EXPIRE_PROCESSING = text(_EXPIRE.format(status="processing", order="lease_expires_at"))
_EXPIRE_BY = {Status.PENDING: _EXPIRE_PENDING, Status.PROCESSING: _EXPIRE_PROCESSING}

_DUE = text("""
SELECT EXISTS (
  SELECT FROM jobs WHERE status = 'pending' AND pool = :pool AND not_before <= now() AND (expires_at > now()) IS TRUE
)
""")


@dataclass(frozen=True)
class Swept:
    """What one sweep found."""

    rescued: int
    expired: int
    purged: int
    hinted: tuple[str, ...]


def sweep(
    engine: sqlalchemy.Engine, hints: broker.Hints, store: Store, *, max_losses: int, schedule: tuple[float, ...]
) -> Swept:
    """Return jobs and deliveries of dead workers, end jobs past their time, bring bulk jobs to where their chunks are,
    forget the old, and wake every pool that has something due; `schedule` is that of webhooks."""
    rescued = rescue.lease_over(engine, max_losses=max_losses)
    expired = sum(expire(engine, status) for status in _EXPIRE_BY)
    progress.advance(engine)
    outbox.lease_over(engine)
    purged = _purge(engine, store) + webhooks.purge(engine, schedule)
    with engine.connect() as connection:
        due = [pool for pool in broker.POOLS if connection.execute(_DUE, {"pool": pool}).scalar_one()]
    if outbox.due(engine):
        due.append(broker.WEBHOOKS)
    presence.swept(engine)
    return Swept(rescued, expired, purged, tuple(pool for pool in due if hints.send(pool)))


def expire(engine: sqlalchemy.Engine, status: Status) -> int:
    """End what is in this status, pending or processing, past its `expires_at`; at most LIMIT jobs, returns how
    many."""
    with engine.begin() as connection:
        return len(connection.execute(_EXPIRE_BY[status], {"limit": LIMIT}).all())


def _purge(engine: sqlalchemy.Engine, store: Store) -> int:
    """The store may be away; the rest of housekeeping must not wait for it."""
    try:
        return retention.purge(engine, store)
    except errors.Unavailable as error:
        log.warning("nothing_purged", error=error.message)
        return 0
