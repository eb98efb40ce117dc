"""Which model versions exist, and which one answers by default."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Model(Base):
    __tablename__ = "models"

    name: Mapped[str] = mapped_column(primary_key=True)
    stable_version: Mapped[str]
    routes: Mapped[dict[str, Any]] = mapped_column(server_default="{}")  #: who gets which; see registry.routes
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class ModelVersion(Base):
    __tablename__ = "model_versions"

    model: Mapped[str] = mapped_column(ForeignKey("models.name", ondelete="CASCADE"), primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]  #: sha256 of the bundle; its object in S3 is bundles/<digest>.tar
    manifest: Mapped[dict[str, Any]]
    card: Mapped[str | None]  #: what its bundle says of it for people, in Markdown
    max_batch: Mapped[int]  #: inputs that the model is handed at once; the claim reads it
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    deprecated_at: Mapped[dt.datetime | None]  #: since then its answers say so, and
    deprecation: Mapped[str | None]  #: why, and what to use in its place
    sunset_at: Mapped[dt.datetime | None]  #: until when it is meant to answer
    removed_at: Mapped[dt.datetime | None]  #: since then nobody can ask for it; its row keeps the number taken
    forgotten_at: Mapped[dt.datetime | None]  #: since then its bundle is gone


class Canary(Base):
    """A canary on trial, or the last of its name: what was seen of it, and what came of it."""

    __tablename__ = "canaries"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'rolled_back', 'promoted', 'removed')", name="state"),
        CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="ended"),
    )

    model: Mapped[str] = mapped_column(ForeignKey("models.name", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    stable: Mapped[str]  #: the version that it is compared with
    rules: Mapped[str]  #: by which it is judged; it is judged anew when they change
    share: Mapped[float]  #: of what both get, and since when
    share_since: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    since: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    state: Mapped[str] = mapped_column(server_default="running")
    ended_at: Mapped[dt.datetime | None]
    ended_by: Mapped[str | None]
    seen: Mapped[dict[str, Any]] = mapped_column(server_default="{}")  #: see registry.judging.trial
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default="{}")  #: the same, as it is told


class CanaryUnit(Base):
    """A request or caller that has had its bad event: each counts once."""

    __tablename__ = "canary_units"

    model: Mapped[str] = mapped_column(ForeignKey("models.name", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    unit: Mapped[bytes] = mapped_column(primary_key=True)  #: eight bytes of its hash
    gone_at: Mapped[dt.datetime | None]  #: a request comes once, or again soon; callers stay as long as the trial

    __table_args__ = (Index("ix_canary_units_gone", "gone_at", postgresql_where=text("gone_at IS NOT NULL")),)
