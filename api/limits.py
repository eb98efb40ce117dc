"""What every answer says of its caller's limits, in headers.

`RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-11 has them: for each bucket `q`, what it
holds, `w`, in how many seconds an empty one is full, `r`, what is left, and `t`, in how many seconds there is more. The
three `X-RateLimit-*` tell of the one of which the smallest part is left; Reset is the moment at which it is full, in
seconds since 1970.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence

from access.gate import Gate
from access.keys import Caller
from access.rates import Policy, Standing

Headers = list[tuple[str, str]]

#: Where a request's environment says whose limits its answer tells of.
KEY = "coatcheck.caller"
NAMES = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Policy", "RateLimit")


def headers(gate: Gate, caller: Caller) -> Headers:
    """Nothing where nobody is limited."""
    found = gate.standing(caller)
    return _headers(found) if found else []


def _headers(found: Sequence[Standing]) -> Headers:
    tightest = min(found, key=_part)
    return [
        ("X-RateLimit-Limit", str(tightest.policy.burst)),
        ("X-RateLimit-Remaining", str(tightest.remaining)),
        ("X-RateLimit-Reset", str(math.ceil(time.time() + tightest.full_in_s))),
        ("RateLimit-Policy", _policies(*[standing.policy for standing in found])),
        ("RateLimit", ", ".join([_left(standing) for standing in found])),
    ]


def _part(standing: Standing) -> float:
    return standing.remaining / standing.policy.burst


@functools.lru_cache(1024)
def _policies(*policies: Policy) -> str:
    return ", ".join(f'"{policy.name}";q={policy.burst};w={policy.window_s}' for policy in policies)


def _left(standing: Standing) -> str:
    policy, remaining, full_in_s = standing
    return f'"{policy.name}";r={remaining};t={policy.next_s if full_in_s > 0 else 0}'
