"""What the receiver was told, against what the platform says that it owed."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import ids
from tests.chaos.check import Verdict
from tests.chaos.receiver import Receiver, Told

_JOBS = text("SELECT id, status FROM jobs WHERE finished_at IS NOT NULL AND parent_id IS NULL")
_OWED = text("""
SELECT id, job_id, event, body, status,
  (SELECT count(*) FROM webhook_attempts
   WHERE delivery_id = webhook_deliveries.id AND error IS DISTINCT FROM 'WORKER_LOST') AS logged,
  (SELECT count(*) FROM webhook_attempts WHERE delivery_id = webhook_deliveries.id) AS most_calls,
  attempt - tries_before AS tries
FROM webhook_deliveries
""")


def judge(engine: sqlalchemy.Engine, receiver: Receiver, verdict: Verdict) -> None:
    """Each job's end is owed once; what is delivered was taken; nothing else was ever said."""
    with engine.connect() as connection:
        ends = {row.id: row.status for row in connection.execute(_JOBS)}
        owed = {row.id: row for row in connection.execute(_OWED)}
    promised = dict.fromkeys(ends, 0)
    for row in owed.values():
        promised[row.job_id] = promised.get(row.job_id, 0) + 1
        verdict.webhooks += _faults(row, ends.get(row.job_id), receiver.told.get(ids.delivery_id(row.id)))
        verdict.delivered += row.status == "delivered"
        verdict.undelivered += row.status == "failed"
    verdict.webhooks += [f"{job_id} is owed {count} calls" for job_id, count in promised.items() if count != 1]
    known = {ids.delivery_id(delivery_id) for delivery_id in owed}
    verdict.webhooks += [f"{name} was never owed" for name in receiver.told.keys() - known]
    verdict.calls = sum(told.calls for told in receiver.told.values())


def _faults(row: Any, end: str | None, told: Told | None) -> list[str]:
    faults = []
    if row.status not in ("delivered", "failed"):
        faults.append(f"{row.id} is still {row.status}")
    if row.event != f"job.{end}":
        faults.append(f"{row.id} says {row.event} of a job that is {end}")
    if row.status == "delivered" and (told is None or not told.taken):
        faults.append(f"{row.id} is delivered, but nobody took it")
    if row.logged != row.tries:
        faults.append(f"{row.id} was tried {row.tries} times, of which {row.logged} are in the log")
    if told is not None and told.calls > row.most_calls:
        faults.append(f"{row.id} was called {told.calls} times, of which {row.most_calls} are in the log")
    if told is not None and told.bodies != {row.body.encode()}:
        faults.append(f"{row.id} was told in {len(told.bodies)} ways")
    if told is not None and told.badly_signed:
        faults.append(f"{row.id} was signed badly {told.badly_signed} times")
    return faults
