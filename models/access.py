"""Who may ask."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Numeric, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Tier(Base):
    """What a class of tenants may do; a changed row holds within seconds."""

    __tablename__ = "tiers"

    name: Mapped[str] = mapped_column(primary_key=True)
    pace: Mapped[float]  #: units per second by which `fair_at` spaces a tenant's jobs
    priorities: Mapped[list[str]] = mapped_column(ARRAY(Text))
    max_running: Mapped[int]  #: jobs processing at once
    max_pending: Mapped[int]  #: jobs waiting at once
    max_ttl_s: Mapped[int]  #: the largest `expires_in_s`
    keep_s: Mapped[int]  #: how long ended jobs and their results are kept
    max_uploads: Mapped[int] = mapped_column(server_default="10")  #: places open at once
    max_upload_bytes: Mapped[int] = mapped_column(BigInteger, server_default=str(5 << 30))  #: in all that are kept
    requests_per_minute: Mapped[int] = mapped_column(server_default="600000")  #: for as long as one likes
    requests_burst: Mapped[int] = mapped_column(server_default="20000")  #: at once, after a rest
    units_per_minute: Mapped[int] = mapped_column(server_default="6000000")
    units_burst: Mapped[int] = mapped_column(server_default="1000000")
    monthly_units: Mapped[int] = mapped_column(BigInteger, server_default="0")  #: 0: as many as one likes
    allowance_percent: Mapped[int] = mapped_column(server_default="10")  #: of the monthly units, beyond them
    past_allowance: Mapped[str] = mapped_column(server_default="refuse")  #: then: `refuse`, or `pay` and go on
    unit_price: Mapped[Decimal] = mapped_column(Numeric(18, 9), server_default="0")
    max_run_s: Mapped[int] = mapped_column(server_default="3600")  #: the largest `timeout_s`

    __table_args__ = (CheckConstraint("past_allowance IN ('refuse', 'pay')", name="past_allowance"),)


class Tenant(Base):
    __tablename__ = "tenants"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    tier: Mapped[str] = mapped_column(ForeignKey("tiers.name"), server_default="free")
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class ApiKey(Base):
    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)  #: the public part of the key
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    secret_sha256: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    revoked_at: Mapped[dt.datetime | None]
    expires_at: Mapped[dt.datetime | None]
    models: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  #: None: all of them
    networks: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  #: from which it is taken; None: from everywhere
    last_used_at: Mapped[dt.datetime | None]  #: to the minute
    rotated_to: Mapped[str | None]  #: the key that takes its place


class Audit(Base):
    """What was changed by whom; a trigger refuses that any of it is."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str]  #: `key:<id>`, or `cli:<user>`
    address: Mapped[str | None]  #: where the request came from
    tenant_id: Mapped[uuid.UUID | None]  #: whose it is, if it is a tenant's
    action: Mapped[str]
    object: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]

    __table_args__ = tuple(
        Index(f"ix_audit_{name}", column, text("id DESC"))
        for name, column in (("tenant", "tenant_id"), ("object", "object"), ("actor", "actor"))
    )


class Block(Base):
    """Somebody who is held back, one level lower each time that `until` and its like have passed."""

    __tablename__ = "blocks"

    subject: Mapped[str] = mapped_column(primary_key=True)  #: `key:<id>`, or `address:<network>`
    tenant_id: Mapped[uuid.UUID | None]  #: of a key
    level: Mapped[int] = mapped_column(SmallInteger)  #: 1 warned, 2 slowed, 3 blocked
    steps: Mapped[int] = mapped_column(server_default="1")  #: up, since it was last let go
    reason: Mapped[str]
    since: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    until: Mapped[dt.datetime]  #: of this level
    gone_at: Mapped[dt.datetime]  #: of the lowest one: nothing is held against it any more

    __table_args__ = (CheckConstraint("level BETWEEN 1 AND 3", name="level"),)
