"""Housekeeping: every statement bounded, locked rows skipped, so any number of sweepers may run at once."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from core import broker
from jobs import retry

LIMIT = 500

# Re-checks status and attempt at the write: a job that settled between the look and the write stays settled.
_RESCUE = text("""
WITH dead AS (
  SELECT id, attempt FROM jobs WHERE status = 'processing' AND lease_expires_at < clock_timestamp()
  ORDER BY lease_expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET lost_count = lost_count + 1,
  status = CASE WHEN cancel_requested_at IS NOT NULL THEN 'canceled' WHEN expires_at <= now() THEN 'expired'
                WHEN lost_count + 1 >= :max_losses OR jobs.attempt >= max_attempts THEN 'failed' ELSE 'pending' END,
  error = CASE WHEN cancel_requested_at IS NOT NULL THEN error
               WHEN expires_at <= now() THEN '{"code": "EXPIRED", "message": "Not done before expires_at"}'
               ELSE '{"code": "WORKER_LOST", "message": "The worker disappeared while running this job"}' END,
  not_before = now() + make_interval(secs => :base_s * lost_count * random())
FROM dead WHERE jobs.id = dead.id AND jobs.attempt = dead.attempt AND jobs.status = 'processing'
RETURNING jobs.id, jobs.status
""")

_EXPIRE = text("""
UPDATE jobs SET status = 'expired', error = '{"code": "EXPIRED", "message": "Not done before expires_at"}'
WHERE id IN (SELECT id FROM jobs WHERE status = 'pending' AND expires_at <= now()
             ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING id
""")

_DUE = text("""
SELECT EXISTS (
  SELECT FROM jobs WHERE status = 'pending' AND pool = :pool AND not_before <= now() AND expires_at > now()
)
""")


@dataclass(frozen=True)
class Swept:
    """What one sweep found."""

    rescued: int
    expired: int
    hinted: tuple[str, ...]


def sweep(engine: sqlalchemy.Engine, hints: broker.Hints, *, max_losses: int) -> Swept:
    """Return jobs of dead workers, end those past their time, and wake every pool that has something due."""
    with engine.begin() as connection:
        parameters = {"limit": LIMIT, "max_losses": max_losses, "base_s": retry.BASE_S}
        rescued = len(connection.execute(_RESCUE, parameters).all())
    with engine.begin() as connection:
        expired = len(connection.execute(_EXPIRE, {"limit": LIMIT}).all())
    with engine.connect() as connection:
        due = [pool for pool in broker.POOLS if connection.execute(_DUE, {"pool": pool}).scalar_one()]
    return Swept(rescued, expired, tuple(pool for pool in due if hints.send(pool)))
