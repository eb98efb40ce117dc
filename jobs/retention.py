"""Forgetting: ended jobs, their results and events go when their tier's `keep_s` is over, a few at a time."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import text

from jobs import events, idempotency

LIMIT = 500

# By tenant and id, which is time-ordered: the oldest jobs come first, without an index for this alone. The id says
# when a job
# was accepted, so `finished_at` is looked at as well.
_PURGE = text("""
DELETE FROM jobs WHERE id = ANY (ARRAY(
  SELECT old.id FROM tenants JOIN tiers ON tiers.name = tier CROSS JOIN LATERAL (
    SELECT id FROM jobs
    WHERE tenant_id = tenants.id AND id < CAST(
      lpad(to_hex((extract(epoch FROM now() - make_interval(secs => keep_s)) * 1000)::bigint), 12, '0') ||
      repeat('0', 20) AS uuid)
      AND finished_at < now() - make_interval(secs => keep_s)
    ORDER BY tenant_id, id LIMIT :limit FOR UPDATE SKIP LOCKED
  ) AS old LIMIT :limit
)) RETURNING id
""")

_SILENT_WORKERS = text("DELETE FROM workers WHERE seen_at < now() - interval '1 day'")


def purge(engine: sqlalchemy.Engine) -> int:
    """One small step; returns how many jobs were forgotten. A full LIMIT says that more are due."""
    with engine.begin() as connection:
        gone = list(connection.execute(_PURGE, {"limit": LIMIT}).scalars())
        events.purge(connection, gone)
        connection.execute(_SILENT_WORKERS)
    idempotency.purge(engine)
    return len(gone)
