"""What a class of tenants may do: rows of `tiers`, which an operator may change at any time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tier:
    """Limits of one tier; the columns of `tiers` say what each means."""

    name: str
    pace: float
    priorities: tuple[str, ...]
    max_running: int
    max_pending: int
    max_ttl_s: int
    max_uploads: int
    max_upload_bytes: int
