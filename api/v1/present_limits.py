"""From limits to v1's JSON."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from access import ladder, quota
from access.rates import Standing
from access.tiers import Tier
from serving.limits import Limits


def limits(found: Limits) -> dict[str, Any]:
    tier = found.tier
    return {
        "tier": tier.name,
        "rates": [_rate(standing) for standing in found.rates],
        "jobs": {
            "running": {"limit": tier.max_running, "used": found.running},
            "waiting": {"limit": tier.max_pending, "used": found.waiting},
            "max_expires_in_s": tier.max_ttl_s,
            "max_timeout_s": tier.max_run_s,
            "priorities": list(tier.priorities),
        },
        "uploads": {"open": tier.max_uploads, "bytes": tier.max_upload_bytes},
        "month": None if found.month is None else _month(found.month, tier),
        "unit_price": float(tier.unit_price),
        "conduct": None if found.conduct is None else _conduct(found.conduct),
    }


def _month(month: quota.Standing, tier: Tier) -> dict[str, Any]:
    return {
        "units": month.limit,
        "allowance": month.most - month.limit,
        "used": month.used,
        "resets_at": month.resets_at,
        "then": tier.past_allowance,
    }


def _conduct(standing: ladder.Standing) -> dict[str, Any]:
    until = dt.datetime.fromtimestamp(standing.until_s, dt.UTC)
    return {"level": standing.level.word, "until": until, "reason": standing.reason}


def _rate(standing: Standing) -> dict[str, Any]:
    policy = standing.policy
    return {
        "name": policy.name,
        "per_minute": policy.per_minute,
        "burst": policy.burst,
        "remaining": standing.remaining,
        "full_in_s": math.ceil(standing.full_in_s),
    }
