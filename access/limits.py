"""What every answer says of its caller's limits, in headers.

`RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-11 has them: for each bucket `q`, what it
holds, `w`, in how many seconds an empty one is full, `r`, what is left, and `t`, in how many seconds there is more. The
three `X-RateLimit-*` tell of the one of which the smallest part is left; Reset is the moment at which it is full, in
seconds since 1970.
"""

from __future__ import annotations

import math
import time

from access.gate import Gate
from access.keys import Caller
from access.rates import Standing

Headers = list[tuple[str, str]]

#: What the month's units are called; how long a month is, about.
MONTH, _MONTH_S = '"units-month"', 30 * 86_400


def headers(gate: Gate, caller: Caller) -> Headers:
    """Nothing where nobody is limited."""
    found = gate.standing(caller)
    if found is None:
        return []
    requests, units = found
    now_s = time.time()
    policies, left = f"{requests.policy.told}, {units.policy.told}", f"{_left(requests)}, {_left(units)}"
    if (month := gate.month_remembered(caller)) is not None:
        seconds = math.ceil(month.resets_at.timestamp() - now_s)
        policies = f"{policies}, {MONTH};q={month.most};w={_MONTH_S}"
        left = f"{left}, {MONTH};r={max(0, month.most - month.used)};t={max(0, seconds)}"
    # Of which the smaller part is left.
    of_requests = requests.remaining * units.policy.burst <= units.remaining * requests.policy.burst
    policy, remaining, full_in_s = requests if of_requests else units
    return [
        ("X-RateLimit-Limit", str(policy.burst)),
        ("X-RateLimit-Remaining", str(remaining)),
        ("X-RateLimit-Reset", str(math.ceil(now_s + full_in_s))),
        ("RateLimit-Policy", policies),
        ("RateLimit", left),
    ]


def _left(standing: Standing) -> str:
    policy, remaining, full_in_s = standing
    return f'"{policy.name}";r={remaining};t={policy.next_s if full_in_s > 0 else 0}'
