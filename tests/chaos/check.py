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
        usage = Counter(connection.execute(text("SELECT job_id FROM usage")).scalars())
        events: dict[Any, list[Any]] = {}
        for row in connection.execute(text("SELECT * FROM job_events ORDER BY id")):
            events.setdefault(row.job_id, []).append(row)
    _keys(verdict, jobs)
    for job in jobs.values():
        _life(verdict, job, events.get(job.id, []))
        _effects(verdict, job, results.get(job.id), usage[job.id])
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
            stored = [{**item, "prediction": item["label"]} for item in results[job.id].body["items"]]
            told = [one["predictions"] for one in (results[job.id].told, (promise.seen or {}).get("result")) if one]
            if not all(truth.agrees(promise.version, promise.inputs, one) for one in (stored, *told)):
                verdict.wrong.append(f"{promise.job_id} ({promise.version}) has another result than its inputs alone")
    verdict.attempts = sum(job.attempt for job in jobs.values())
    verdict.recovery = recovery(losses, events)
    return verdict


def _keys(verdict: Verdict, jobs: Mapping[Any, Any]) -> None:
    """One key, one job: also for requests whose answer was lost."""
    for key, count in Counter(job.metadata["key"] for job in jobs.values() if job.parent_id is None).items():
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


def _effects(verdict: Verdict, job: Any, result: Any, charges: int) -> None:
    wanted = int(job.status == "completed")
    if charges != wanted or (result is not None) != bool(wanted):
        verdict.duplicated.append(f"{job.id} is {job.status} with {charges} charges, result: {result is not None}")
    if result is not None and result.attempt != job.attempt:
        verdict.duplicated.append(f"{job.id}: the result is of attempt {result.attempt}, the job at {job.attempt}")


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
