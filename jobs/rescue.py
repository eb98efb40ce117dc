"""Taking jobs back from workers that are gone, however that became known.

Each way re-checks status and attempt at the write: a job that settled between the look and the write stays settled.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database, errors, metrics
from jobs import retry
from jobs.job import Status
from registry.judging import judge
from registry.judging.trial import Seen
from registry.routes import Unit

LIMIT = 500

_TEMPLATE = """
WITH dead AS (
  SELECT id FROM jobs WHERE status = 'processing' AND {gone}
  ORDER BY lease_expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET lost_count = lost_count + 1,
  status = CASE WHEN cancel_requested_at IS NOT NULL THEN 'canceled' WHEN expires_at <= now() THEN 'expired'
                WHEN lost_count + 1 >= :max_losses OR jobs.attempt >= max_attempts THEN 'failed' ELSE 'pending' END,
  error = CASE WHEN cancel_requested_at IS NOT NULL THEN NULL
               WHEN expires_at <= now() THEN '{{"code": "EXPIRED", "message": "Not done before expires_at"}}'::json
               ELSE '{{"code": "WORKER_LOST", "message": "The worker disappeared while running this job"}}'::json END,
  not_before = now() + make_interval(secs => :base_s * lost_count * random())
FROM dead WHERE jobs.id = dead.id AND lower(jobs.status) = 'processing'
RETURNING jobs.status, error ->> 'code' AS code, jobs.model, CASE WHEN retry_of IS NULL THEN route END AS route,
  jobs.request_id, jobs.tenant_id, jobs.created_at
"""

_LEASE_OVER = text(
    _TEMPLATE.format(
        gone="lease_expires_at < clock_timestamp()"
        " AND lease_expires_at >= coalesce(CAST(:floor AS timestamptz), '-infinity')"
    )
)
_CHILD_DIED = text(_TEMPLATE.format(gone="wake_id = :wake_id"))
_NODE_BORN_AGAIN = text(
    _TEMPLATE.format(gone="starts_with(worker, :node || '/') AND NOT starts_with(worker, :incarnation || '/')")
)


def lease_over(engine: sqlalchemy.Engine, *, max_losses: int, floor: dt.datetime | None = None) -> int:
    """Take back what nobody renewed in time, of leases that ended behind `floor` if that is given; at most LIMIT jobs,
    returns how many."""
    return _rescue(engine, _LEASE_OVER, "lease", max_losses=max_losses, floor=floor)


def child_died(engine: sqlalchemy.Engine, wake_id: str, *, max_losses: int) -> int:
    """Take back what the process of this wake-up held, at once."""
    return _rescue(engine, _CHILD_DIED, "parent", max_losses=max_losses, wake_id=wake_id)


def node_born_again(engine: sqlalchemy.Engine, incarnation: str, *, max_losses: int) -> int:
    """Take back what earlier incarnations of a node (`node/incarnation`) held: they are gone, since it has started
    anew."""
    node = incarnation.rpartition("/")[0]
    return _rescue(engine, _NODE_BORN_AGAIN, "restart", max_losses=max_losses, node=node, incarnation=incarnation)


def _rescue(
    engine: sqlalchemy.Engine,
    statement: sqlalchemy.TextClause,
    found_by: str,
    *,
    max_losses: int,
    **whose: str | dt.datetime | None,
) -> int:
    parameters = {"limit": LIMIT, "max_losses": max_losses, "base_s": retry.BASE_S, **whose}
    with engine.begin() as connection:
        rows = connection.execute(statement, parameters).all()
    metrics.LOST.labels(found_by).inc(len(rows))
    for row in rows:
        if row.status == Status.FAILED and row.route is not None:
            _witness(engine, row)
    return len(rows)


def _witness(engine: sqlalchemy.Engine, row: Any) -> None:
    """A version on trial is told of the job that it has lost; what cannot be written now is let go."""
    seen = Seen(row.route, Unit(row.request_id, row.tenant_id.hex), row.created_at, code=row.code)
    with contextlib.suppress(errors.CoatcheckError, *database.OUTAGES):
        judge.add(engine, row.model, [seen])
