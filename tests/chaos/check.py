"""Comparing what was promised with what is there."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import ids
from tests.chaos.load import Ledger
from tests.chaos.nemesis import Loss
from tests.chaos.truth import Truth

MOVES = {
    "pending": {"processing", "canceled", "expired"},
    "processing": {"pending", "completed", "failed", "canceled", "expired"},
}
_COSTS = text("""
SELECT model || '/' || version AS of, CAST(coalesce(manifest ->> 'units', '1') AS int) AS units FROM model_versions
""")
#: As `access.usage` reads it.
_TOLD = text("""
SELECT tenant_id, CAST(sum(units) AS bigint) AS units FROM (
  SELECT tenant_id, units FROM usage_days WHERE kind <> 'inline'
  UNION ALL
  SELECT tenant_id, units FROM usage WHERE kind <> 'inline' AND xact >= coalesce((SELECT xact FROM usage_mark), 0)
) AS used GROUP BY tenant_id
""")
TERMINAL = ("completed", "failed", "canceled", "expired")


@dataclass
class Verdict:
    accepted: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    double_terminals: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    attempts: int = 0
    slow: list[str] = field(default_factory=list)
    webhooks: list[str] = field(default_factory=list)
    delivered: int = 0
    undelivered: int = 0
    calls: int = 0
    recovery: dict[str, list[float]] = field(default_factory=dict)

    @property
    def faults(self) -> dict[str, list[str]]:
        names = ("lost", "duplicated", "double_terminals", "wrong", "slow", "webhooks")
        return {name: found for name in names if (found := getattr(self, name))}


def judge(engine: sqlalchemy.Engine, ledger: Ledger, losses: Sequence[Loss], truth: Truth) -> Verdict:
    """Everything that the platform promises of its jobs, against its own tables and the ledger."""
    verdict = Verdict(wrong=list(ledger.surprises))
    # One picture of everything, should something still run.
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        jobs = {row.id: row for row in connection.execute(text("SELECT * FROM jobs")).all()}
        results = {row.job_id: row for row in connection.execute(text("SELECT * FROM job_results")).all()}
        usage: dict[Any, list[Any]] = {}
        for row in connection.execute(text("SELECT * FROM usage WHERE kind <> 'inline'")):
            usage.setdefault(row.job_id, []).append(row)
        costs = {row.of: row.units for row in connection.execute(_COSTS)}
        told_units = {row.tenant_id: int(row.units) for row in connection.execute(_TOLD)}
        events: dict[Any, list[Any]] = {}
        for row in connection.execute(text("SELECT * FROM job_events ORDER BY id")):
            events.setdefault(row.job_id, []).append(row)
    _keys(verdict, jobs)
    for job in jobs.values():
        _life(verdict, job, events.get(job.id, []))
        cost = costs[f"{job.model}/{job.version}"]
        _effects(verdict, job, results.get(job.id), usage.get(job.id, []), cost)
    _units(verdict, usage, told_units)
    for promise in ledger.accepted():
        verdict.accepted += 1
        job = jobs.get(ids.parse_job_id(str(promise.job_id)))
        if job is None or job.status not in TERMINAL:
            verdict.lost.append(f"{promise.job_id} is {job.status if job else 'not there'}")
            continue
        verdict.ends[job.status] += 1
        if job.status == "failed" and job.error["code"] != "WORKER_LOST":
            verdict.wrong.append(f"{promise.job_id} failed: {job.error}")
        if promise.seen and promise.seen["status"] != job.status:
            verdict.double_terminals.append(f"{promise.job_id} was {promise.seen['status']} and is {job.status}")
        if job.status == "completed" and not promise.of_file:
            stored = [{**item, "prediction": item["label"]} for item in _items(results[job.id].body)]
            seen = (results[job.id].told, (promise.seen or {}).get("result"))
            told = [one.get("predictions", [one]) for one in seen if one]
            if not all(truth.agrees(promise.version, promise.inputs, one) for one in (stored, *told)):
                verdict.wrong.append(f"{promise.job_id} ({promise.version}) has another result than its inputs alone")
    verdict.attempts = sum(job.attempt for job in jobs.values())
    verdict.recovery = recovery(losses, events)
    return verdict


def _keys(verdict: Verdict, jobs: Mapping[Any, Any]) -> None:
    """One key, one job: also for requests whose answer was lost."""
    for key, count in Counter(
        job.metadata.get("key", job.id) for job in jobs.values() if job.parent_id is None
    ).items():
        if count > 1:
            verdict.duplicated.append(f"{count} jobs for the key {key}")


def _life(verdict: Verdict, job: Any, events: Sequence[Any]) -> None:
    status, attempt = "pending", 0
    for event in events:
        if event.type in ("progress", "cancel_requested"):
            continue
        if event.type not in MOVES.get(status, set()):
            verdict.double_terminals.append(f"{job.id}: {status} became {event.type}")
        attempt += event.type == "processing"
        if event.attempt != attempt:
            verdict.wrong.append(f"{job.id}: event {event.type} of attempt {event.attempt}, expected {attempt}")
        status = event.type
    if (status, attempt) != (job.status, job.attempt):
        verdict.wrong.append(f"{job.id} is {job.status}/{job.attempt}, its events say {status}/{attempt}")


def _effects(verdict: Verdict, job: Any, result: Any, charges: Sequence[Any], cost: int) -> None:
    wanted = int(job.status == "completed")
    if len(charges) != wanted or (result is not None) != bool(wanted):
        verdict.duplicated.append(f"{job.id} is {job.status} with {len(charges)} charges, result: {result is not None}")
    for charge in charges:
        units = 0 if result is None else cost * _answered(job, result.body)
        if (charge.units, charge.tenant_id, charge.key_id) != (units, job.tenant_id, job.key_id):
            verdict.wrong.append(f"{job.id} is charged {charge.units} units for answers that cost {units}")
    if result is not None and result.attempt != job.attempt:
        verdict.duplicated.append(f"{job.id}: the result is of attempt {result.attempt}, the job at {job.attempt}")


def _answered(job: Any, body: Mapping[str, Any]) -> int:
    """How many inputs have an answer, and are charged; a file's are to its parts."""
    if job.kind == "chunk":
        return int(job.inputs["rows"] - body["failed"])
    return 0 if job.kind == "bulk" else sum("error" not in item for item in _items(body))


def _items(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Of a list of inputs, or of one."""
    found: Sequence[Mapping[str, Any]] = body.get("items", [body])
    return found


def _units(verdict: Verdict, usage: Mapping[Any, Sequence[Any]], told: Mapping[Any, int]) -> None:
    """What tenants are told of their jobs is what the ledger has of them, whether it is in its day yet or not."""
    charged: Counter[Any] = Counter()
    for charges in usage.values():
        for charge in charges:
            charged[charge.tenant_id] += charge.units
    for tenant in charged.keys() | told.keys():
        if charged[tenant] != told.get(tenant, 0):
            verdict.wrong.append(f"tenant {tenant} is told of {told.get(tenant, 0)} units of {charged[tenant]}")


def recovery(losses: Sequence[Loss], events: Mapping[Any, Sequence[Any]]) -> dict[str, list[float]]:
    """Seconds from a kill until each job that the dead process held was claimed again, or had ended."""
    found: dict[str, list[float]] = {}
    for loss in losses:
        for job_id, attempt in loss.jobs.items():
            later = [
                event.at.timestamp() - loss.at
                for event in events.get(job_id, [])
                if event.type in TERMINAL or (event.type == "processing" and event.attempt > attempt)
            ]
            if not later:
                found.setdefault(f"{loss.what} noticed", []).append(math.inf)
            # One that had ended before the kill was not recovered from it.
            elif later[0] > 0:
                found.setdefault(loss.what, []).append(later[0])
                back = [event for event in events[job_id] if event.type == "pending" and event.attempt == attempt]
                found.setdefault(f"{loss.what} noticed", []).extend(event.at.timestamp() - loss.at for event in back)
    return found


def percentiles(values: Sequence[float]) -> str:
    if len(values) < 2:
        return " ".join(f"{value:.1f}" for value in values) or "-"
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return f"p50 {cuts[49]:.1f}  p99 {cuts[98]:.1f}  max {max(values):.1f}  (n={len(values)})"
