"""From limits to v1's JSON."""

from __future__ import annotations

import math
from typing import Any

from access.rates import Standing
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
        "unit_price": float(tier.unit_price),
    }


def _rate(standing: Standing) -> dict[str, Any]:
    policy = standing.policy
    return {
        "name": policy.name,
        "per_minute": policy.per_minute,
        "burst": policy.burst,
        "remaining": standing.remaining,
        "full_in_s": math.ceil(standing.full_in_s),
    }
