"""A claim is a batch: the head of the pool decides the lane; as much of that lane as one ONNX run takes comes along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from jobs.job import Claimed

# SKIP LOCKED on the head too: a lane that other workers are claiming right now must not hide the next one.
# A job that already lost a worker runs alone, so that it cannot take its neighbours down with it.
_CLAIM = text("""
WITH head AS (
  SELECT id, lane, model, version, lost_count FROM jobs
  WHERE status = 'pending' AND pool = :pool AND not_before <= now() AND expires_at > now()
  ORDER BY fair_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
), size AS (
  SELECT head.*, CASE WHEN lost_count > 0 THEN 1 ELSE max_batch END AS max_jobs
  FROM head JOIN model_versions USING (model, version)
), picked AS (
  SELECT id FROM jobs
  WHERE status = 'pending' AND lane = (SELECT lane FROM size) AND not_before <= now() AND expires_at > now()
    AND CASE WHEN (SELECT lost_count FROM size) > 0 THEN id = (SELECT id FROM size) ELSE lost_count = 0 END
  ORDER BY fair_at, id LIMIT (SELECT max_jobs FROM size) FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET status = 'processing', attempt = attempt + 1, worker = :worker,
  started_at = coalesce(started_at, now()), lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s)
FROM picked, size WHERE jobs.id = picked.id
RETURNING jobs.id, attempt, max_attempts, jobs.model, jobs.version, inputs, options, request_id, max_jobs, fair_at
""")


@dataclass(frozen=True)
class Batch:
    """Jobs of one lane, in order; `full` says that more may be waiting behind them."""

    jobs: Sequence[Claimed]
    full: bool


def claim(engine: sqlalchemy.Engine, *, pool: str, worker: str, lease_s: float) -> Batch | None:
    """Take the next batch of a pool, or None when nothing is due. The lease runs on the database's clock."""
    with engine.begin() as connection:
        rows = connection.execute(_CLAIM, {"pool": pool, "worker": worker, "lease_s": lease_s}).all()
    if not rows:
        return None
    rows = sorted(rows, key=lambda row: (row.fair_at, row.id))
    jobs = [Claimed(*row[:8]) for row in rows]
    return Batch(jobs, full=len(jobs) == rows[0].max_jobs)
