"""Rows as they lie in the database, however they came to be: the one place that knows which columns must be filled.

No trigger runs: what a test wants to see of those it brings about by the product's own statements.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy
from sqlalchemy import func, text

import models
from access.keys import CLIENT, SCOPES, Caller
from access.tiers import Tier
from core import ids
from jobs.payloads import Chunk
from models.base import Base
from tests.conftest import Platform

Row = Mapping[str, Any]

#: Long enough for any test on any machine.
SOON = func.now() + text("interval '1 h'")
PAST = func.now() - text("interval '1 h'")

TERMINAL = models.jobs.TERMINAL
#: Nobody asks whether it outlives a crash.
_AT_ONCE = text("SET LOCAL synchronous_commit = off")
_number = itertools.count(1)


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:8]}-{next(_number)}"


def _job(given: Row) -> dict[str, Any]:
    status, kind = given.get("status", "pending"), given.get("kind", "predict")
    made: dict[str, Any] = {
        "id": ids.uuid7(), "kind": kind, "batches": kind == "predict", "pool": "cpu",
        "model": "sentiment", "version": "1.0.0",
        "lane": f"cpu/{kind}/sentiment/1.0.0", "expires_at": SOON, "max_attempts": 4, "timeout_s": 300,
        "inputs": {"text": "Lovely"}, "options": {}, "metadata": {}, "request_id": "req_made",
    }  # fmt: skip
    if status != "pending":
        made |= {"attempt": 1, "started_at": func.now()}
    if status == "processing":
        made |= {"worker": "node/a/1", "wake_id": "wake-1", "lease_expires_at": SOON}
    if status in TERMINAL:
        made |= {"finished_at": func.now()}
    return made


def _delivery(given: Row) -> dict[str, Any]:
    status = given.get("status", "pending")
    made: dict[str, Any] = {"id": uuid4(), "event": "job.completed", "body": "{}"}
    made["target"] = str(given.get("endpoint_id") or unique("target"))
    if status != "pending":
        made["attempt"] = 1
    if status == "sending":
        made |= {"worker": "io/a/1", "lease_expires_at": SOON}
    if status in ("delivered", "failed"):
        made["finished_at"] = func.now()
    return made


def _compared() -> dict[str, Any]:
    return {
        "id": 2**62 + next(_number), "model": "sentiment", "name": "next", "version": "2.1.0",
        "stable_version": "1.0.0", "request_id": "req_made", "place": 0, "stable_label": "positive",
    }  # fmt: skip


#: What a row of each table has when nothing else is said.
DEFAULTS: Mapping[type[Base], Callable[[Row], dict[str, Any]]] = {
    models.Tier: lambda _: {
        "name": unique("tier"), "pace": 1000.0, "priorities": ["high", "normal", "low"], "max_running": 4096,
        "max_pending": 1_000_000, "max_ttl_s": 604_800, "keep_s": 604_800,
    },
    models.Tenant: lambda _: {"id": uuid4(), "name": unique("tenant"), "tier": "pro"},
    models.ApiKey: lambda _: {
        "id": unique("key"), "name": "made", "secret_sha256": b"0" * 32, "scopes": sorted(CLIENT),
    },
    models.Model: lambda _: {"name": unique("model"), "stable_version": "1.0.0"},
    models.ModelVersion: lambda _: {"version": "1.0.0", "digest": unique("digest"), "manifest": {}, "max_batch": 1},
    models.Canary: lambda _: {
        "name": unique("canary"), "version": "2.0.0", "stable": "1.0.0", "rules": "[]", "share": 0.1,
    },
    models.CanaryUnit: lambda _: {"name": unique("canary"), "metric": "errors", "unit": unique("unit").encode()},
    models.Job: _job,
    models.JobResult: lambda _: {
        "attempt": 1, "body": {"form": "label", "label": "positive", "confidence": 1.0, "scores": {}},
    },
    models.JobEvent: lambda _: {"type": "processing", "progress": 0, "attempt": 1},
    models.Usage: lambda _: {"id": 2**62 + next(_number), "job_id": uuid4(), "model": "sentiment", "units": 1},
    models.UsageDay: lambda _: {
        "day": func.current_date(), "model": "sentiment", "version": "1.0.0", "kind": "predict", "key_id": "key",
        "calls": 1, "units": 1, "price": 0,
    },
    models.UsageMark: lambda _: {"xact": 0},
    models.Adjustment: lambda _: {"id": uuid4(), "month": func.current_date(), "units": 1, "reason": "made"},
    models.QuotaNotice: lambda _: {"month": func.current_date(), "event": "quota.reached"},
    models.Audit: lambda _: {"actor": "cli:made", "action": "made", "object": unique("object")},
    models.Block: lambda _: {"subject": unique("key:"), "level": 1, "reason": "made", "until": SOON, "gone_at": SOON},
    models.IdempotencyKey: lambda _: {"route": "jobs", "key": unique("key"), "fingerprint": b"f"},
    models.Worker: lambda _: {
        "name": unique("node/a"), "node": "node/a", "pools": ["cpu"], "receives": False, "works": True,
        "jobs_per_s": 0.0,
    },
    models.Count: lambda _: {"name": unique("count"), "labels": "{}", "value": 1.0},
    models.Chore: lambda _: {"name": unique("chore"), "every_s": 2.0},
    models.Upload: lambda _: {"id": uuid4(), "content_type": "text/csv", "size": 1, "expires_at": SOON},
    models.WebhookEndpoint: lambda _: {
        "id": uuid4(), "url": "https://receiver.example/hook", "events": ["job.completed"], "description": "",
        "signing": "v1",
    },
    models.WebhookSecret: lambda _: {"id": uuid4(), "sealed": "sealed"},
    models.WebhookDelivery: _delivery,
    models.WebhookAttempt: lambda _: {"attempt": 1},
    models.WebhookTrouble: lambda _: {"target": unique("target"), "failures": 1},
    models.ShadowCopy: lambda _: {**_compared(), "pool": "cpu", "expires_at": SOON, "inputs": {"text": "Lovely"}},
    models.ShadowPair: lambda _: {**_compared(), "digest": "0" * 64, "shadow_label": "positive"},
    models.Feedback: lambda _: {"model": "sentiment", "version": "1.0.0", "label": "a", "true_label": "b"},
}  # fmt: skip


def put(connection: sqlalchemy.Connection, table: type[Base], **given: Any) -> Row:
    """A row of a table; what is given goes before what is usual. Returns what it was made of."""
    columns = {**DEFAULTS[table](given), **given}
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(sqlalchemy.insert(table.__table__).values(columns))  # type: ignore[arg-type]
    connection.execute(text("SET LOCAL session_replication_role = origin"))
    return columns


def add(platform: Platform, table: type[Base], **given: Any) -> Row:
    """The same, committed."""
    with platform.admin.begin() as connection:
        connection.execute(_AT_ONCE)
        return put(connection, table, **given)


def clear(platform: Platform) -> None:
    """No rows but those of tenants, tiers and models; many times as fast as TRUNCATE where there are few."""
    kept = {"tiers", "tenants", "api_keys", "models", "model_versions"}
    with platform.admin.begin() as connection:
        connection.execute(_AT_ONCE)
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.exec_driver_sql(
            ";".join(f'DELETE FROM "{name}"' for name in models.Base.metadata.tables if name not in kept)
        )


def tenant(platform: Platform, **limits: Any) -> UUID:
    """A tenant; with limits, of a tier of its own that has them."""
    tier = add(platform, models.Tier, **limits)["name"] if limits else "pro"
    return UUID(str(add(platform, models.Tenant, tier=tier)["id"]))


#: With limits that no test meets by accident.
TIER = Tier(
    "pro", pace=1000.0, priorities=("high", "normal", "low"), max_running=4096, max_pending=1_000_000,
    max_ttl_s=604_800, max_uploads=10, max_upload_bytes=5 << 30, requests_per_minute=600_000, requests_burst=20_000,
    units_per_minute=6_000_000, units_burst=1_000_000, monthly_units=0, allowance_percent=10, past_allowance="refuse",
    unit_price=Decimal(0), max_run_s=3600,
)  # fmt: skip


def caller(tenant_id: UUID, **limits: Any) -> Caller:
    """Somebody of a tenant, with a key that opens everything, whose tier has these limits."""
    return Caller(tenant_id, dataclasses.replace(TIER, **limits), "0" * 12, SCOPES)


def job(platform: Platform, tenant_id: UUID, **given: Any) -> Row:
    return add(platform, models.Job, tenant_id=tenant_id, **given)


def parked(platform: Platform, tenant_id: UUID, **given: Any) -> Row:
    """A bulk job whose only chunk is being run, of which the parent has heard all there is."""
    bulk = job(
        platform, tenant_id,
        **{"kind": "bulk", "status": "processing", "worker": None, "wake_id": None, "lease_expires_at": "infinity",
           **given},
    )  # fmt: skip
    chunk(platform, bulk, status="processing", worker="elsewhere/a/1", wake_id="wake-elsewhere")
    return bulk


def chunk(platform: Platform, bulk: Row, *, part: int = 0, rows: int = 1, **given: Any) -> Row:
    where = Chunk(bulk["id"], "input", "etag", None, part, start=0, end=1, line=1, rows=rows)
    inputs = where.to_json()
    return job(platform, bulk["tenant_id"], kind="chunk", parent_id=bulk["id"], **{"inputs": inputs, **given})
