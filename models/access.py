"""Who may ask."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import BigInteger, ForeignKey, Text, func
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
