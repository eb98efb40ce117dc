"""Accepting a job: the row is committed before anybody hears of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import broker, database, ids, metrics
from jobs.job import PRIORITY_OFFSET_S, Kind, Priority

_INSERT = text("""
INSERT INTO jobs (id, tenant_id, kind, pool, model, version, lane, priority, fair_at, expires_at, max_attempts,
                  inputs, options, metadata, request_id)
VALUES (:id, :tenant_id, :kind, :pool, :model, :version, :lane, :priority, now() + make_interval(secs => :offset_s),
        now() + make_interval(secs => :ttl_s), :max_attempts,
        CAST(:inputs AS json), CAST(:options AS json), CAST(:metadata AS json), :request_id)
""")


@dataclass(frozen=True)
class NewJob:
    """What a tenant hands in, already validated; `inputs` is one input object or a list of them."""

    tenant_id: uuid.UUID
    pool: str
    model: str
    version: str
    inputs: Any
    options: Mapping[str, Any]
    metadata: Mapping[str, Any]
    request_id: str
    ttl_s: int
    max_attempts: int
    priority: Priority = Priority.NORMAL
    kind: Kind = Kind.PREDICT


def submit(engine: sqlalchemy.Engine, hints: broker.Hints, new: NewJob) -> uuid.UUID:
    """Store the job and wake a worker; when this returns, the job will end, whatever dies in between.

    Raises Unavailable when the database cannot say that it committed: nothing was promised then.
    """
    job_id = ids.uuid7()
    try:
        with engine.begin() as connection:
            connection.execute(_INSERT, _values(job_id, new))
    except database.OUTAGES as error:
        raise database.unavailable() from error
    metrics.ACCEPTED.labels(new.model).inc()
    hints.send(new.pool)
    return job_id


def _values(job_id: uuid.UUID, new: NewJob) -> dict[str, Any]:
    return {
        "id": job_id,
        "tenant_id": new.tenant_id,
        "kind": new.kind,
        "pool": new.pool,
        "model": new.model,
        "version": new.version,
        "lane": f"{new.pool}/{new.kind}/{new.model}/{new.version}",
        "priority": new.priority,
        "offset_s": PRIORITY_OFFSET_S[new.priority],
        "ttl_s": new.ttl_s,
        "max_attempts": new.max_attempts,
        "inputs": database.dumps(new.inputs),
        "options": database.dumps(new.options),
        "metadata": database.dumps(new.metadata),
        "request_id": new.request_id,
    }
