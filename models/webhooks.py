"""Who wants to be called, and every call."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class WebhookEndpoint(Base):
    """An address that a tenant wants to be called at."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"), index=True)
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    description: Mapped[str]
    signing: Mapped[str]  #: v1 (HMAC-SHA256) or v1a (ed25519)
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    disabled_code: Mapped[str | None]  #: why it is not enabled: BY_TENANT, GONE or FAILING
    disabled_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        CheckConstraint("signing IN ('v1', 'v1a')", name="signing"),
        CheckConstraint("enabled = (disabled_code IS NULL)", name="enabled"),
    )


class WebhookSecret(Base):
    """What deliveries are signed with: of an endpoint, or, without one, of its tenant's jobs with a webhook_url."""

    __tablename__ = "webhook_secrets"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    endpoint_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    sealed: Mapped[str]
    public_key: Mapped[str | None]  #: whpk_…, of an ed25519 key
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    retires_at: Mapped[dt.datetime | None]  #: None while it is the current one

    __table_args__ = (
        Index(
            "uq_webhook_secrets_current",
            "tenant_id",
            "endpoint_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("retires_at IS NULL"),
        ),
        Index("ix_webhook_secrets_owner", "tenant_id", "endpoint_id"),
    )


class WebhookDelivery(Base):
    """One event for one receiver. Those of jobs are written by triggers on `jobs`, in the job's own transaction."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, Identity())  #: grows; the older of two events has the smaller one
    tenant_id: Mapped[uuid.UUID]
    endpoint_id: Mapped[uuid.UUID | None]  #: may be gone by now
    url: Mapped[str | None]  #: of a job's own webhook_url; else the endpoint's holds
    target: Mapped[str]  #: what fails together: an endpoint, or one tenant's calls to one origin
    job_id: Mapped[uuid.UUID | None]
    event: Mapped[str]
    body: Mapped[str]  #: the very text that is sent, every time
    status: Mapped[str] = mapped_column(server_default="pending")
    attempt: Mapped[int] = mapped_column(server_default="0")  #: the fence: one more at every claim, never fewer
    tries_before: Mapped[int] = mapped_column(server_default="0")  #: attempts before it was asked for again
    next_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    since: Mapped[dt.datetime] = mapped_column(server_default=func.now())  #: made, or asked for again
    worker: Mapped[str | None]
    lease_expires_at: Mapped[dt.datetime | None]
    last_status: Mapped[int | None]  #: the receiver's last HTTP status
    last_error: Mapped[str | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[dt.datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('pending', 'sending', 'delivered', 'failed')", name="status"),
        CheckConstraint("(status = 'sending') = (lease_expires_at IS NOT NULL)", name="lease"),
        CheckConstraint("(status IN ('delivered', 'failed')) = (finished_at IS NOT NULL)", name="finished"),
        Index(
            "ix_webhook_deliveries_due", "target", "next_at", "sequence", postgresql_where=text("status = 'pending'")
        ),
        Index("ix_webhook_deliveries_since", "since", postgresql_where=text("status = 'pending'")),
        Index("ix_webhook_deliveries_lease", "lease_expires_at", postgresql_where=text("status = 'sending'")),
        Index("ix_webhook_deliveries_tenant", "tenant_id", text("sequence DESC")),
        Index("ix_webhook_deliveries_endpoint", "endpoint_id", text("sequence DESC")),
        # A job ends once, and says so once to each receiver.
        Index(
            "uq_webhook_deliveries_end",
            "job_id",
            "endpoint_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("job_id IS NOT NULL AND event <> 'job.progress'"),
        ),
        Index("ix_webhook_deliveries_progress", "job_id", postgresql_where=text("event = 'job.progress'")),
        Index(
            "ix_webhook_deliveries_ended",
            "tenant_id",
            "status",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
    )


class WebhookAttempt(Base):
    """One call and what came of it."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    attempt: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    ms: Mapped[int | None]
    status: Mapped[int | None]  #: HTTP
    error: Mapped[str | None]
    response: Mapped[str | None]  #: how the answer begins


class WebhookTrouble(Base):
    """A target whose last call failed; a call that does not fail removes it."""

    __tablename__ = "webhook_troubles"

    target: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]  #: in a row
    failing_since: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    held_until: Mapped[dt.datetime] = mapped_column(server_default=func.now())  #: until then it is not called
