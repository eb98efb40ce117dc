"""Where a waiting job stands, and when it is likely to start."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database
from jobs import presence
from jobs.job import Job

#: Further back than this, "at least" is answer enough, and counting on would cost.
MOST = 10_000

_PLACE = text(f"""
SELECT
  (SELECT count(*) FROM (
    SELECT FROM jobs WHERE status = 'pending' AND pool = :pool AND (fair_at, id) < (:fair_at, :id)
    ORDER BY fair_at, id LIMIT :most) AS ahead) AS ahead,
  count(*) FILTER (WHERE seen_at > now() - make_interval(secs => :silent_s)) AS workers,
  sum(jobs_per_s) FILTER (WHERE seen_at > now() - make_interval(secs => :silent_s)) AS rate,
  max(seen_at) AS seen_at, now() AS now,
  (SELECT max_running FROM tenants JOIN tiers ON tiers.name = tier WHERE tenants.id = :tenant_id) AS max_running,
  (SELECT count(*) FROM jobs WHERE status = 'processing' AND worker IS NOT NULL AND tenant_id = :tenant_id) AS running
FROM ({presence.WORKING}) AS working WHERE pool = :pool
""")  # noqa: S608 - constants only


@dataclass(frozen=True)
class Place:
    """`starts_in_s` is None when nothing is known to judge it by; `basis` says what it rests on.

    Where `at_least`, more may be ahead than were counted, and both numbers are the least that they can be.
    """

    ahead: int
    at_least: bool
    starts_in_s: float | None
    basis: str


def place(engine: sqlalchemy.Engine, tenant_id: uuid.UUID, job: Job) -> Place:
    """Count the jobs ahead of a pending one and guess its start from the workers' speed; raises Unavailable."""
    parameters = {
        "id": job.id,
        "tenant_id": tenant_id,
        "fair_at": job.fair_at,
        "pool": job.pool,
        "most": MOST,
        "silent_s": presence.SILENT_S,
    }
    with database.reading(engine) as connection:
        row = connection.execute(_PLACE, parameters).one()
    return Place(row.ahead, row.ahead >= MOST, *_guess(job, row))


def _guess(job: Job, row: sqlalchemy.Row[Any]) -> tuple[float | None, str]:
    """Seconds and basis from what is known."""
    if not row.workers:
        last = f"since {row.seen_at:%Y-%m-%dT%H:%M:%SZ}" if row.seen_at else "yet"
        return None, f"no worker of pool '{job.pool}' has been heard of {last}"
    if row.running >= row.max_running:
        runs = "runs" if row.running == 1 else "run"
        return None, f"your tier runs {_count(row.max_running, 'job')} at once, and {row.running} of yours {runs} now"
    wait_s = max(0.0, (job.not_before - row.now).total_seconds())
    jobs = f"{_count(row.ahead, 'job')} ahead" if row.ahead < MOST else f"at least {MOST} jobs ahead"
    if not row.rate:
        starts_in_s = wait_s if not row.ahead else None
        return starts_in_s, f"{jobs}, {_count(row.workers, 'worker')} at a speed that is not known yet"
    basis = f"{jobs}, {_count(row.workers, 'worker')} doing {row.rate:.3g} jobs/s"
    return round(max(wait_s, row.ahead / row.rate), 1), basis


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
