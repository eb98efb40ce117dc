"""What was used, by whom, and what it costs."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Numeric, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

_PRICE = Numeric()


class Usage(Base):
    """The ledger, which is only added to: a job that was completed, or some inline predictions of one key."""

    __tablename__ = "usage"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    #: What makes it be written once; of inline predictions an id of their own.
    job_id: Mapped[uuid.UUID]
    tenant_id: Mapped[uuid.UUID]
    key_id: Mapped[str] = mapped_column(server_default="")
    model: Mapped[str]
    version: Mapped[str] = mapped_column(server_default="")
    kind: Mapped[str] = mapped_column(server_default="predict")  #: of the job, or `inline`
    calls: Mapped[int] = mapped_column(server_default="1")
    units: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[Decimal] = mapped_column(_PRICE, server_default="0")
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    #: That which wrote it: once all up to a number have ended, none of them can add to what is there.
    xact: Mapped[int] = mapped_column(BigInteger, server_default=text("pg_current_xact_id()::text::bigint"))

    __table_args__ = (
        Index("uq_usage_job", "job_id", unique=True),
        Index("ix_usage_tenant", "tenant_id", "xact"),
        Index("ix_usage_xact", "xact"),
    )


class UsageDay(Base):
    """The same of a day, added up, as far as `usage_mark` says."""

    __tablename__ = "usage_days"

    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    day: Mapped[dt.date] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    units: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[Decimal] = mapped_column(_PRICE)

    __table_args__ = (Index("ix_usage_days_day", "day"),)


class UsageMark(Base):
    """What transactions before this one wrote to `usage` is in `usage_days`."""

    __tablename__ = "usage_mark"

    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    xact: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (CheckConstraint("one", name="one"),)


class Adjustment(Base):
    """Units that an operator gave to a tenant for a month, or took."""

    __tablename__ = "adjustments"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    month: Mapped[dt.date]  #: its first day
    units: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("ix_adjustments_tenant", "tenant_id", "month"),)


class QuotaNotice(Base):
    """That a tenant was told of its month, once for each step."""

    __tablename__ = "quota_notices"

    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    month: Mapped[dt.date] = mapped_column(primary_key=True)
    event: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
