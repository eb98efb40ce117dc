"""What is written of a job, column by column: what is in no list here stays as it was."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core import errors, ids
from inference.output import Label
from jobs import chores, claim, queries, rescue, settle
from jobs.bulk import progress
from jobs.bulk.plan import Plan, Span
from jobs.job import Claimed, Priority, Status
from jobs.submit import NewJob
from tests import factories
from tests.conftest import Platform
from tests.factories import PAST, SOON

SAID = Label("a", 0.75, {"a": 0.75, "b": 0.25})
FAULT = errors.ModelError("It broke", details={"field": "inputs.0"})
TOLD_FAULT = {"code": "MODEL_ERROR", "message": "It broke", "details": {"field": "inputs.0"}}
HEALS = errors.OutOfMemory("None left")
AWAY = errors.Unavailable("Away")
NOW = "now"
Write = Callable[[Platform, Claimed], object]


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.clear(platform)
    monkeypatch.setattr(random, "random", lambda: 3.0)
    monkeypatch.setattr(random, "uniform", lambda low, high: 10 * (low + high) - 10)


def row(platform: Platform, job: UUID) -> dict[str, Any]:
    """Moments as seconds from now, rounded to ten."""
    with platform.admin.connect() as connection:
        found = connection.execute(text("SELECT now() AS now, jobs.* FROM jobs WHERE id = :id"), {"id": job})
        read = dict(found.mappings().one())
    now = read.pop("now")
    return {name: moment(value, now) if isinstance(value, dt.datetime) else value for name, value in read.items()}


def moment(value: dt.datetime, now: dt.datetime) -> object:
    if value.year > 3000:
        return "never"
    seconds = round((value - now).total_seconds(), -1)
    return NOW if abs(seconds) <= 10 else seconds


def held(platform: Platform, **given: Any) -> Claimed:
    """A job in a worker's hands for the second time."""
    tenant = factories.tenant(platform)
    before = {
        "status": "processing", "attempt": 2, "max_attempts": 4, "error": {"code": "EARLIER"}, "progress": 40,
        "fair_at": PAST, "not_before": PAST, "expires_at": SOON, "key_id": "key", "unit_price": Decimal("0.25"),
        "started_at": PAST, "worker": "node/a/1", "wake_id": "wake-1", "lost_count": 1,
    }  # fmt: skip
    mine = factories.job(platform, tenant, **{**before, **given})
    return Claimed(mine["id"], tenant, "predict", 2, 4, "sentiment", "1.0.0", 300, mine["inputs"], {}, "req_made")


def told(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}


FREE = {"lease_expires_at": None}
ENDED = {**FREE, "finished_at": NOW}
CANCELED = {**ENDED, "status": "canceled", "error": None}
AGAIN = {"fair_at": 60, "not_before": 60}
UNWANTED = {"cancel_requested_at": PAST}
NONE_LEFT, IS_AWAY = told("MODEL_ERROR", "None left"), told("UNAVAILABLE", "Away")
LOST = told("WORKER_LOST", "The worker disappeared while running this job")
LATE = told("EXPIRED", "Not done before expires_at")


def complete(platform: Platform, job: Claimed) -> object:
    return settle.complete(platform.engine, [settle.Done(job, SAID, 3, 7)])


def fail(platform: Platform, job: Claimed) -> object:
    return settle.fail(platform.engine, job, FAULT)


def again(platform: Platform, job: Claimed) -> object:
    return settle.fail(platform.engine, job, HEALS)


def put_off(platform: Platform, job: Claimed) -> object:
    return settle.put_off(platform.engine, job, AWAY)


def give_back(platform: Platform, job: Claimed) -> object:
    return settle.give_back(platform.engine, [job])


def cancel(platform: Platform, job: Claimed) -> object:
    return settle.cancel(platform.engine, job)


def lose(platform: Platform, job: Claimed) -> object:
    return rescue.child_died(platform.engine, "wake-1", max_losses=3)


def ask_to_cancel(platform: Platform, job: Claimed) -> object:
    return queries.cancel(platform.engine, job.tenant_id, job.id)


def expire(platform: Platform, job: Claimed) -> object:
    return chores.expire(platform.engine, Status.PROCESSING)


#: What is other about the job, what is done to it, and what is other about its row then.
WRITES: Mapping[str, tuple[Mapping[str, Any], Write, Mapping[str, Any]]] = {
    "completed": ({}, complete, {**ENDED, "status": "completed", "progress": 100, "error": None, "run_ms": 7}),
    "failed": ({}, fail, {**ENDED, "status": "failed", "error": TOLD_FAULT}),
    "to be tried again": ({}, again, {**FREE, **AGAIN, "status": "pending", "error": NONE_LEFT}),
    "to be tried again, from where it stands": (
        {"fair_at": SOON}, again, {**FREE, "not_before": 60, "status": "pending", "error": NONE_LEFT}),
    "to be tried again too late": (
        {"expires_at": text("now() + interval '40 s'")}, again,
        {**ENDED, **AGAIN, "status": "failed", "error": NONE_LEFT}),
    "to be tried again, and unwanted": (UNWANTED, again, {**CANCELED, **AGAIN}),
    "put off": (
        {}, put_off,
        {**FREE, "status": "pending", "max_attempts": 5, "not_before": 70, "fair_at": 70, "error": IS_AWAY}),
    "put off, and unwanted": (UNWANTED, put_off, {**CANCELED, "max_attempts": 5, "not_before": 70, "fair_at": 70}),
    "given back": ({}, give_back, {**FREE, "status": "pending", "max_attempts": 5}),
    "given back, and unwanted": (UNWANTED, give_back, {**CANCELED, "max_attempts": 5}),
    "canceled": ({}, cancel, CANCELED),
    "lost": ({}, lose, {**FREE, "status": "pending", "not_before": NOW, "lost_count": 2, "error": LOST}),
    "lost for the last time": (
        {"lost_count": 2}, lose, {**ENDED, "status": "failed", "not_before": NOW, "lost_count": 3, "error": LOST}),
    "lost, and unwanted": (UNWANTED, lose, {**CANCELED, "not_before": NOW, "lost_count": 2}),
    "lost, and too late": (
        {"expires_at": PAST}, lose, {**ENDED, "status": "expired", "not_before": NOW, "lost_count": 2, "error": LATE}),
    "asked to stop": ({}, ask_to_cancel, {"cancel_requested_at": NOW}),
    "asked to stop once more": (UNWANTED, ask_to_cancel, {}),
    "too late": ({"expires_at": PAST}, expire, {**ENDED, "status": "expired", "error": LATE}),
}  # fmt: skip


@pytest.mark.parametrize("how", WRITES)
def test_a_job_that_is_run_is_changed_in_these_columns_and_in_no_other_job(platform: Platform, how: str) -> None:
    given, write, expected = WRITES[how]
    job = held(platform, **given)
    other = factories.job(platform, job.tenant_id, status="processing", wake_id="wake-2", error={"code": "OTHER"})
    before, others = row(platform, job.id), row(platform, other["id"])
    assert write(platform, job)
    after = row(platform, job.id)
    assert after == {**before, **expected}
    assert row(platform, other["id"]) == others
    status, error = after["status"], after["error"]
    event = "cancel_requested" if write is ask_to_cancel else status
    wrong = None if event == "cancel_requested" else error
    happened = platform.rows("SELECT job_id, type, progress, attempt, run_ms, error FROM job_events")
    assert happened == [(job.id, event, after["progress"], 2, after["run_ms"], wrong)] * bool(expected)


def test_what_came_of_a_job_and_what_it_costs_is_written_with_its_end(platform: Platform) -> None:
    jobs = [held(platform, key_id="key"), held(platform, key_id=None, unit_price=None)]
    settle.complete(platform.engine, [settle.Done(job, SAID, units) for job, units in zip(jobs, (3, 5), strict=True)])
    stored = {"form": "label", "label": "a", "confidence": 0.75, "scores": {"a": 0.75, "b": 0.25}}
    found = platform.rows("SELECT job_id, attempt, body, told FROM job_results ORDER BY job_id")
    assert found == [(job.id, 2, stored, {"prediction": "a", "confidence": 0.75}) for job in jobs]
    asked = "SELECT job_id, tenant_id, key_id, model, version, kind, units, price FROM usage ORDER BY job_id"
    assert platform.rows(asked) == [
        (job.id, job.tenant_id, key, "sentiment", "1.0.0", "predict", units, price)
        for job, key, units, price in zip(jobs, ("key", ""), (3, 5), (Decimal("0.75"), 0), strict=True)
    ]


#: What is handed in.
NEW: dict[str, Any] = {
    "pool": "gpu", "model": "m", "version": "3.0.0", "inputs": {"x": 1}, "options": {"explain": "shap"},
    "metadata": {"mine": 1}, "request_id": "req_1", "ttl_s": 3000, "timeout_s": 77, "max_attempts": 6, "units": 9,
    "priority": Priority.LOW, "route": "next",
    "webhook_url": "https://receiver.example/hook", "webhook_events": ["job.failed", "job.expired"],
}  # fmt: skip
#: And what its row has then.
WAITS: dict[str, Any] = {
    "kind": "predict", "batches": True, "pool": "gpu", "model": "m", "version": "3.0.0", "route": "next",
    "lane": "gpu/predict/m/3.0.0", "status": "pending", "priority": "low", "fair_at": 60, "not_before": NOW,
    "expires_at": 3000, "attempt": 0, "max_attempts": 6, "lost_count": 0, "timeout_s": 77, "key_id": "0" * 12,
    "unit_price": Decimal("0.5"), "cost": 9, "worker": None, "wake_id": None, "lease_expires_at": None,
    "cancel_requested_at": None, "progress": 0, "inputs": {"x": 1}, "options": {"explain": "shap"},
    "metadata": {"mine": 1}, "error": None, "request_id": "req_1", "parent_id": None, "retry_of": None, "run_ms": None,
    "webhook_url": "https://receiver.example/hook", "webhook_events": ["job.failed", "job.expired"], "created_at": NOW,
    "started_at": None, "finished_at": None,
}  # fmt: skip


def test_a_job_is_stored_as_it_was_handed_in_and_handed_in_again_as_it_was_stored(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    caller = factories.caller(tenant, unit_price=Decimal("0.5"))
    new = NewJob(caller=caller, **NEW)
    assert platform.submitter.submit(new) is None
    assert row(platform, new.id) == {**WAITS, "id": new.id, "tenant_id": tenant}
    platform.execute("UPDATE jobs SET status = 'canceled', created_at = created_at - interval '100 s'")
    again, later = ids.uuid7(), factories.caller(tenant, unit_price=Decimal("0.25"))
    old = queries.get(platform.engine, tenant, new.id)
    platform.submitter.again(
        old, again, caller=later, request_id="req_2", timeout_s=77, max_attempts=3, inputs={"x": 2}
    )
    other = {"request_id": "req_2", "max_attempts": 3, "inputs": {"x": 2}, "unit_price": Decimal("0.25")}
    # As long as it had at first.
    mine = {"id": again, "tenant_id": tenant, "retry_of": new.id, "expires_at": 3100}
    assert row(platform, again) == {**WAITS, **other, **mine}
    ids_ = ids.uuid7()
    platform.submitter.again(old, ids_, caller=later, request_id="req_3", timeout_s=77, max_attempts=3)
    assert row(platform, ids_)["inputs"] == {"x": 1}


@pytest.mark.parametrize("begun", [False, True])
def test_a_job_that_is_claimed_is_changed_in_these_columns(platform: Platform, begun: bool) -> None:
    tenant = factories.tenant(platform)
    given: dict[str, Any] = {"started_at": PAST, "attempt": 1, "worker": "node/a/1", "wake_id": "w"} if begun else {}
    mine = factories.job(platform, tenant, **given)["id"]
    before = row(platform, mine)
    assert claim.claim(platform.engine, pool="cpu", worker="node/b/2", wake_id="wake-2", lease_s=60)
    changed = {"status": "processing", "attempt": 2 if begun else 1, "worker": "node/b/2", "wake_id": "wake-2"}
    assert row(platform, mine) == {
        **before, **changed, "lease_expires_at": 60, "started_at": -3600 if begun else NOW,
    }  # fmt: skip


def test_a_file_that_is_parked_is_nobodys_and_its_chunks_have_what_it_has(platform: Platform) -> None:
    tenant = factories.tenant(platform, pace=0.1)
    given = {
        "kind": "bulk",
        "options": {"explain": "shap"},
        "metadata": {"mine": 1},
        "priority": "low",
        "fair_at": PAST,
    }
    job = held(platform, **given)
    platform.execute("UPDATE jobs SET tenant_id = :tenant WHERE id = :id", tenant=tenant, id=job.id)
    before = row(platform, job.id)
    spans = [Span(0, 10, 2, 6), Span(10, 30, 5, 4, [7, 8, 9, 11])]
    assert progress.park(platform.engine, job, Plan("input", "etag", 3, spans), units=2)
    # Python knows no end of time.
    ends = "UPDATE jobs SET lease_expires_at = '9000-01-01' WHERE id = :id AND lease_expires_at = 'infinity'"
    platform.execute(ends, id=job.id)
    assert row(platform, job.id) == {**before, "worker": None, "wake_id": None, "lease_expires_at": "never"}
    asked = "SELECT id FROM jobs WHERE parent_id = :id ORDER BY inputs ->> 'part'"
    chunks = [row(platform, found[0]) for found in platform.rows(asked, id=job.id)]
    same = {name: before[name] for name in (
        "tenant_id", "pool", "model", "version", "priority", "expires_at", "max_attempts", "timeout_s", "key_id",
        "unit_price", "options", "request_id",
    )}  # fmt: skip
    usual = {
        "kind": "chunk",
        "batches": False,
        "lane": "cpu/chunk/sentiment/1.0.0",
        "metadata": {},
        "parent_id": job.id,
    }
    fresh = dict.fromkeys(WAITS.keys() & before.keys() - same.keys() - usual.keys())
    waits = {name: WAITS[name] for name in fresh} | {"route": None, "webhook_url": None, "webhook_events": None}
    of_file = {"parent": job.id.hex, "key": "input", "etag": "etag", "header_end": 3}
    parts = [
        # A tenth of a unit a second: the second one stands behind what the first one costs.
        {"cost": 12, "fair_at": NOW, "inputs": {**of_file, "part": 0, "start": 0, "end": 10, "line": 2, "rows": 6}},
        {"cost": 8, "fair_at": 120,
         "inputs": {**of_file, "part": 1, "start": 10, "end": 30, "line": 5, "rows": 4, "lines": [7, 8, 9, 11]}},
    ]  # fmt: skip
    for chunk, part in zip(chunks, parts, strict=True):
        chunk["inputs"] = {name: value for name, value in chunk["inputs"].items() if value is not None}
        assert chunk == {**waits, **same, **usual, **part, "id": chunk["id"]}
