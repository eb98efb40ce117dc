"""Where a waiting job stands, and when it is likely to start."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from core import database
from jobs.job import Job

#: Further back than this, "more than" is answer enough, and counting on would cost.
MOST = 10_000
#: A worker that has not been heard of for so long is not counted on.
SILENT_S = 15

_PLACE = text("""
SELECT
  (SELECT count(*) FROM (
    SELECT FROM jobs WHERE status = 'pending' AND pool = :pool AND (fair_at, id) < (:fair_at, :id)
    ORDER BY fair_at, id LIMIT :most) AS ahead) AS ahead,
  count(*) AS workers, coalesce(sum(jobs_per_s), 0) AS rate, now() AS now
FROM workers WHERE pool = :pool AND seen_at > now() - make_interval(secs => :silent_s)
""")


@dataclass(frozen=True)
class Place:
    """`starts_in_s` is None when nothing is known to judge it by; `basis` says what it rests on."""

    ahead: int
    starts_in_s: float | None
    basis: str


def place(engine: sqlalchemy.Engine, job: Job) -> Place:
    """Count the jobs ahead of a pending one and guess its start from the workers' speed; raises Unavailable."""
    try:
        with engine.connect() as connection:
            parameters = {
                "id": job.id,
                "fair_at": job.fair_at,
                "pool": job.pool,
                "most": MOST,
                "silent_s": SILENT_S,
            }
            row = connection.execute(_PLACE, parameters).one()
    except database.OUTAGES as error:
        raise database.unavailable(error) from error
    return Place(row.ahead, *_guess(job, row.ahead, row.workers, row.rate, row.now))


def _guess(job: Job, ahead: int, workers: int, rate: float, now: dt.datetime) -> tuple[float | None, str]:
    """Seconds and basis from what is known."""
    wait_s = max(0.0, (job.not_before - now).total_seconds())
    if not workers:
        return None, f"no worker of pool '{job.pool}' was heard of in the last {SILENT_S} s"
    jobs = f"{ahead} jobs ahead" if ahead < MOST else f"at least {MOST} jobs ahead"
    if not rate:
        return (wait_s if not ahead else None), f"{jobs}, {workers} workers whose speed is not known yet"
    basis = f"{jobs}, {workers} workers doing {rate:.3g} jobs/s"
    return round(max(wait_s, ahead / rate), 1), basis
