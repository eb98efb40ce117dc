"""What a caller may use, and what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from access.keys import Caller
from access.rates import Standing
from access.tiers import Tier
from jobs import backlog
from serving.serving import Serving


@dataclass(frozen=True)
class Limits:
    """Of a tier, with how its buckets and its jobs stand."""

    tier: Tier
    rates: Sequence[Standing]
    running: int
    waiting: int


def of(serving: Serving, caller: Caller) -> Limits:
    """Raises Unavailable."""
    count = backlog.count(serving.engine, caller.tenant_id)
    return Limits(caller.tier, serving.gate.standing(caller), count.running, count.waiting)
