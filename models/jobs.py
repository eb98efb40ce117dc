"""The job, its result and what it cost."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Numeric, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

STATUSES = ("pending", "processing", "completed", "failed", "canceled", "expired")
TERMINAL = ("completed", "failed", "canceled", "expired")


class Job(Base):
    """The row is the job. The guard trigger (migrations) refuses every move that ARCHITECTURE.md does not draw."""

    __tablename__ = "jobs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    kind: Mapped[str]
    batches: Mapped[bool] = mapped_column(server_default=text("false"))  #: a claim may take others of its lane along
    pool: Mapped[str]
    model: Mapped[str]
    version: Mapped[str]
    route: Mapped[str | None]  #: why it is this version; unknown of jobs from before there were rules
    lane: Mapped[str]  #: jobs of one lane may share an ONNX batch, or none of them does
    status: Mapped[str] = mapped_column(server_default="pending")
    priority: Mapped[str] = mapped_column(server_default="normal")
    fair_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())  #: the order of everything
    not_before: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[dt.datetime]
    attempt: Mapped[int] = mapped_column(server_default="0")  #: the fence: one more at every claim, never fewer
    max_attempts: Mapped[int] = mapped_column(SmallInteger)
    lost_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    timeout_s: Mapped[int]  #: how long one attempt may run
    key_id: Mapped[str | None]  #: of the API key that handed it in
    unit_price: Mapped[Decimal | None] = mapped_column(Numeric(18, 9))  #: what its tier paid for a unit then
    cost: Mapped[int] = mapped_column(server_default="1")  #: of its inputs, in units, as its model says
    worker: Mapped[str | None]  #: node/incarnation/pid
    wake_id: Mapped[str | None]  #: the wake-up whose process holds the lease
    lease_expires_at: Mapped[dt.datetime | None]
    cancel_requested_at: Mapped[dt.datetime | None]
    progress: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    inputs: Mapped[list[Any]]
    options: Mapped[dict[str, Any]]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata")
    error: Mapped[dict[str, Any] | None]
    request_id: Mapped[str]
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id"))  #: of a chunk
    retry_of: Mapped[uuid.UUID | None]  #: the ended job that this one repeats
    run_ms: Mapped[int | None]  #: in the model, the attempt that won
    webhook_url: Mapped[str | None]  #: to be called for this job alone
    webhook_events: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]

    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES}", name="status"),
        CheckConstraint("priority IN ('high', 'normal', 'low')", name="priority"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        CheckConstraint("(status = 'processing') = (lease_expires_at IS NOT NULL)", name="lease"),
        CheckConstraint(f"(status IN {TERMINAL}) = (finished_at IS NOT NULL)", name="finished"),
        Index("ix_jobs_pool_head", "pool", "fair_at", "id", postgresql_where=text("status = 'pending'")),
        Index("ix_jobs_lane_head", "lane", "fair_at", "id", postgresql_where=text("status = 'pending'")),
        Index("ix_jobs_lease", "lease_expires_at", postgresql_where=text("status = 'processing'")),
        # In words that no claim says: with statistics of a moment when nothing waited, this index would be taken for
        # the smallest, and all that waits be read and sorted for each claim.
        Index("ix_jobs_pending_expiry", "expires_at", postgresql_where=text("lower(status) = 'pending'")),
        Index("ix_jobs_tenant", "tenant_id", text("id DESC"), postgresql_where=text("parent_id IS NULL")),
        Index("ix_jobs_parent", "parent_id", "status", postgresql_where=text("parent_id IS NOT NULL")),
        # Completed jobs are most of all there ever were, and found quickly without an index of their own.
        Index(
            "ix_jobs_tenant_status",
            "tenant_id",
            "status",
            text("id DESC"),
            postgresql_where=text("status <> 'completed' AND parent_id IS NULL"),
        ),
    )


class JobEvent(Base):
    """What happened to a job, written by a trigger on `jobs`, whoever made it happen."""

    __tablename__ = "job_events"

    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    type: Mapped[str]  #: the new status, or `progress`, `cancel_requested`, `output`
    progress: Mapped[int] = mapped_column(SmallInteger)
    attempt: Mapped[int]
    batch_size: Mapped[int | None]  #: jobs claimed together with this one
    run_ms: Mapped[int | None]
    error: Mapped[dict[str, Any] | None]
    output: Mapped[dict[str, Any] | None]  #: pieces of it, told before its end; see jobs.pieces

    __table_args__ = (
        # What no worker tells of: few, and looked for every other second.
        Index(
            "ix_job_events_rare",
            "at",
            postgresql_where=text("type IN ('pending', 'failed', 'canceled', 'expired')"),
        ),
    )


class IdempotencyKey(Base):
    """A key that a client made up, and what its first request came to: a job, a stored reply, or both."""

    __tablename__ = "idempotency_keys"

    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]  #: SHA-256 of what was asked
    job_id: Mapped[uuid.UUID | None]
    reply: Mapped[dict[str, Any] | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)


class Worker(Base):
    """Signs of life of worker processes, renewed every few seconds; see jobs.presence."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str]  #: node/incarnation: a parent and its children
    pools: Mapped[list[str]] = mapped_column(ARRAY(Text))
    receives: Mapped[bool]  #: it takes wake-ups from Redis: the parent
    works: Mapped[bool]  #: it runs jobs: a child, or a parent that has threads instead of children
    started_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    jobs_per_s: Mapped[float]
    leases_from: Mapped[dt.datetime] = mapped_column(server_default=text("'epoch'"))  #: none of its leases ends before


class Count(Base):
    """A counter of all workers together, as Prometheus names it; see core.tally."""

    __tablename__ = "counts"

    name: Mapped[str] = mapped_column(primary_key=True)
    labels: Mapped[str] = mapped_column(primary_key=True)  #: a JSON object, its names in order
    value: Mapped[float]


class Chore(Base):
    """When a piece of housekeeping last succeeded; see core.chores."""

    __tablename__ = "chores"

    name: Mapped[str] = mapped_column(primary_key=True)
    every_s: Mapped[float]
    succeeded_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class JobResult(Base):
    __tablename__ = "job_results"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int]  #: the attempt that won
    body: Mapped[dict[str, Any]]  #: as `jobs.result` writes it
    told: Mapped[dict[str, Any] | None]  #: what receivers of its end are told; null: they have to ask
