"""The settings of the cache of answers."""

from __future__ import annotations

from dataclasses import dataclass

from marshmallow import validate

from core.environment import setting


@dataclass(frozen=True, kw_only=True)
class Cache:
    """How much is kept of what was answered, and for how long."""

    cache_mb: int = setting(
        "COATCHECK_CACHE_MB",
        0,
        "MiB of answers that each process of API, lane and gRPC keeps, for models and requests that ask for it; "
        "beyond it those go that were asked for longest ago. 0 = none. "
        "See [requests.md](requests.md#answers-that-are-kept)",
        validate.Range(0, 2**20),
    )
    cache_s: int = setting(
        "COATCHECK_CACHE_S", 3600, "how long such an answer is good for", validate.Range(1, 30 * 86_400)
    )
