"""A claim is a batch: the head of the pool decides the lane; as much of that lane as one ONNX run takes comes along."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from jobs import fairness, floors
from jobs.job import Claimed

# SKIP LOCKED on the head too: a lane that other workers are claiming right now must not hide the next one.
# A job that already lost a worker runs alone, so that it cannot take its neighbours down with it. Nor they it: ahead
# of its turn nothing is claimed where such a one is the head, or one on its last attempt, or what is no batch.
# What a worker holds whose lease is over is nobody's, so that nothing behind that is looked at; nor what is before all
# leases that there are, as processes tell each other: beside an old snapshot, that is what others have done since.
# A tenant at its tier's `max_running` is passed over. Two claims at the same moment do not see each other, so a
# tenant can be over that limit by a batch for as long as that batch runs.
_CLAIM = text("""
WITH running AS MATERIALIZED (
  SELECT tenant_id, count(*) AS jobs FROM jobs
  WHERE status = 'processing' AND worker IS NOT NULL
    AND lease_expires_at > greatest(now(), CAST(:leases_from AS timestamptz))
  GROUP BY tenant_id
), at_limit AS MATERIALIZED (
  SELECT tenant_id FROM running JOIN tenants ON tenants.id = tenant_id JOIN tiers ON tiers.name = tier
  WHERE jobs >= max_running
), head AS MATERIALIZED (
  SELECT id, batches, lane, model, version, lost_count, attempt + 1 >= max_attempts AS last FROM jobs
  WHERE status = 'pending' AND pool = :pool AND not_before <= now() AND expires_at > now()
    AND fair_at >= coalesce(CAST(:floor AS timestamptz), '-infinity')
    AND tenant_id NOT IN (SELECT tenant_id FROM at_limit)
  ORDER BY fair_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
), size AS MATERIALIZED (
  SELECT head.*, CASE WHEN CAST(:ahead AS boolean) AND (lost_count > 0 OR last OR NOT batches) THEN 0
                      WHEN lost_count > 0 OR NOT batches THEN 1 ELSE coalesce(max_batch, 1) END AS max_jobs
  FROM head LEFT JOIN model_versions USING (model, version)
), candidates AS MATERIALIZED (
  SELECT id, tenant_id, fair_at FROM jobs
  WHERE status = 'pending' AND lane = (SELECT lane FROM size) AND not_before <= now() AND expires_at > now()
    AND fair_at >= coalesce(CAST(:floor AS timestamptz), '-infinity')
    AND tenant_id NOT IN (SELECT tenant_id FROM at_limit)
    AND CASE WHEN (SELECT lost_count FROM size) > 0 THEN id = (SELECT id FROM size) ELSE lost_count = 0 END
    AND (NOT CAST(:ahead AS boolean) OR attempt + 1 < max_attempts)
  ORDER BY fair_at, id LIMIT (SELECT max_jobs FROM size) FOR UPDATE SKIP LOCKED
), picked AS MATERIALIZED (
  SELECT ranked.id FROM (
    SELECT id, tenant_id, row_number() OVER (PARTITION BY tenant_id ORDER BY fair_at, id) AS nth FROM candidates
  ) ranked
  JOIN tenants ON tenants.id = tenant_id JOIN tiers ON tiers.name = tier LEFT JOIN running USING (tenant_id)
  WHERE nth <= max_running - coalesce(running.jobs, 0)
)
UPDATE jobs SET status = 'processing', attempt = attempt + 1, worker = :worker, wake_id = :wake_id,
  started_at = coalesce(started_at, now()), lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s)
FROM picked, size WHERE jobs.id = picked.id
RETURNING jobs.id, jobs.tenant_id, jobs.kind, attempt, max_attempts, jobs.model, jobs.version, timeout_s, inputs,
  options, request_id, key_id,
  webhook_url IS NOT NULL OR EXISTS (SELECT FROM webhook_endpoints WHERE tenant_id = jobs.tenant_id) AS notifies,
  CASE WHEN retry_of IS NULL THEN jobs.route END AS route, jobs.created_at, max_jobs, fair_at,
  priority, now() AS claimed_at, expires_at
""")


@dataclass(frozen=True)
class Batch:
    """Jobs of one lane, in order; `full` says that more may be waiting behind them, and `floor` before where nobody
    stands who comes after it and finds it at the head of the pool."""

    jobs: Sequence[Claimed]
    full: bool
    floor: dt.datetime


def claim(
    engine: sqlalchemy.Engine,
    *,
    pool: str,
    worker: str,
    wake_id: str,
    lease_s: float,
    floor: dt.datetime | None = None,
    leases_from: dt.datetime | None = None,
    ahead: bool = False,
) -> Batch | None:
    """Take the next batch of a pool, of what stands behind `floor` if that is given, or None when nothing of it is due,
    or nothing that is claimed ahead of its turn, while another batch runs. The lease runs on the database's clock; none
    that anybody holds ends before `leases_from`."""
    parameters = {"pool": pool, "worker": worker, "wake_id": wake_id, "lease_s": lease_s, "floor": floor}
    with engine.begin() as connection:
        rows = connection.execute(_CLAIM, {**parameters, "leases_from": leases_from, "ahead": ahead}).all()
    if not rows:
        return None
    rows = sorted(rows, key=lambda row: (row.fair_at, row.id))
    jobs = [Claimed.from_row(row._mapping) for row in rows]
    floor = floors.before(fairness.start(rows[0]), rows[0].claimed_at)
    return Batch(jobs, full=len(jobs) == rows[0].max_jobs, floor=floor)
