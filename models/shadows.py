"""What shadows are asked and what came of it, and the truth that arrives after an answer."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class ShadowCopy(Base):
    """What a shadow is still to be asked; gone as soon as a worker takes it, or when its time is over."""

    __tablename__ = "shadow_copies"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    pool: Mapped[str]
    model: Mapped[str]
    name: Mapped[str]  #: of the shadow
    version: Mapped[str]  #: of the shadow
    stable_version: Mapped[str]
    request_id: Mapped[str]
    place: Mapped[int]  #: among the inputs of its request
    stable_label: Mapped[str | None]
    stable_confidence: Mapped[float | None]
    stable_number: Mapped[float | None]
    stable_error: Mapped[str | None]
    stable_ms: Mapped[float | None]
    expires_at: Mapped[dt.datetime]
    inputs: Mapped[dict[str, Any]]

    __table_args__ = (Index("ix_shadow_copies_pool", "pool", "id"),)


class ShadowPair(Base):
    """What the stable version and a shadow said to one input, of which only the digest is kept."""

    __tablename__ = "shadow_pairs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    model: Mapped[str]
    name: Mapped[str]
    version: Mapped[str]
    stable_version: Mapped[str]
    request_id: Mapped[str]
    place: Mapped[int]
    stable_label: Mapped[str | None]
    stable_confidence: Mapped[float | None]
    stable_number: Mapped[float | None]
    stable_error: Mapped[str | None]
    stable_ms: Mapped[float | None]
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    digest: Mapped[str]
    shadow_label: Mapped[str | None]
    shadow_confidence: Mapped[float | None]
    shadow_number: Mapped[float | None]
    shadow_error: Mapped[str | None]
    shadow_ms: Mapped[float | None]

    __table_args__ = (
        Index("ix_shadow_pairs_name", "model", "name", "id"),
        Index("ix_shadow_pairs_at", "at"),
    )


class Feedback(Base):
    """What turned out to be true of a job's answer, beside that answer; it goes with its job."""

    __tablename__ = "feedback"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str]
    version: Mapped[str]
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    label: Mapped[str | None]
    confidence: Mapped[float | None]
    number: Mapped[float | None]
    true_label: Mapped[str | None]
    true_number: Mapped[float | None]

    __table_args__ = (
        CheckConstraint(
            "(label IS NULL) = (true_label IS NULL) AND (number IS NULL) = (true_number IS NULL)"
            " AND (label IS NULL) <> (number IS NULL)",
            name="one",
        ),
        Index("ix_feedback_latest", "model", text("at DESC")),
    )
