"""Files that tenants hand in."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import BigInteger, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Upload(Base):
    """A place in S3 where a tenant may put one file, once; its object is uploads/<id>."""

    __tablename__ = "uploads"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[uuid.UUID]
    filename: Mapped[str | None]
    content_type: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)  #: bytes
    sha256: Mapped[str | None]  #: base64
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[dt.datetime]
    used_at: Mapped[dt.datetime | None]

    __table_args__ = (
        Index("ix_uploads_created_at", "created_at"),
        Index("ix_uploads_kept", "tenant_id", postgresql_include=["size", "used_at", "expires_at"]),
    )
