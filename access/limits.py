"""What every answer says of its caller's limits, in headers.

`RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-11 has them: for each bucket `q`, what it
holds, `w`, in how many seconds an empty one is full, `r`, what is left, and `t`, in how many seconds there is more. The
three `X-RateLimit-*` tell of the one of which the smallest part is left; Reset is the moment at which it is full, in
seconds since 1970.
"""

from __future__ import annotations

import datetime as dt
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
    policies, left = f"{requests.policy.told}, {units.policy.told}", f"{_left(requests)}, {_left(units)}"
    if (month := gate.month_remembered(caller)) is not None:
        seconds = math.ceil((month.resets_at - dt.datetime.now(dt.UTC)).total_seconds())
        policies = f"{policies}, {MONTH};q={month.most};w={_MONTH_S}"
        left = f"{left}, {MONTH};r={max(0, month.most - month.used)};t={max(0, seconds)}"
    tightest = requests if _part(requests) <= _part(units) else units
    return [
        ("X-RateLimit-Limit", str(tightest.policy.burst)),
        ("X-RateLimit-Remaining", str(tightest.remaining)),
        ("X-RateLimit-Reset", str(math.ceil(time.time() + tightest.full_in_s))),
        ("RateLimit-Policy", policies),
        ("RateLimit", left),
    ]


def _part(standing: Standing) -> float:
    return standing.remaining / standing.policy.burst


def _left(standing: Standing) -> str:
    policy, remaining, full_in_s = standing
    return f'"{policy.name}";r={remaining};t={policy.next_s if full_in_s > 0 else 0}'
