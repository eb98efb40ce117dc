"""What a caller may use, and what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from access import ladder, quota
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
    month: quota.Standing | None  #: None where it has no limit
    conduct: ladder.Standing | None  #: None for who is not held back


def of(serving: Serving, caller: Caller) -> Limits:
    """Raises Unavailable."""
    count = backlog.count(serving.engine, caller.tenant_id)
    gate = serving.gate
    month, conduct = gate.month(caller), gate.conduct(caller)
    return Limits(caller.tier, gate.standing(caller) or (), count.running, count.waiting, month, conduct)
