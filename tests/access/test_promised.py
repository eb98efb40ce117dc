"""Limits of who may do what, as tenants and operators were told them: other tests make some of them smaller."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from access import blocks, bounds, conduct, credit, derived, issuer, keys, ladder, quota, rates, tokens, usage

DAY_S = 86_400
PROMISED: Mapping[str, tuple[object, object]] = {
    "of who is held back, those that are known": (blocks.MOST, 10_000),
    "times its mean that are a surge": (blocks.TIMES, 10),
    "units in a day that are a surge": (blocks.LEAST_UNITS, 10_000),
    "models, or networks, of one key": (bounds.MOST, 50),
    "callers whose errors are counted": (conduct.MOST, 10_000),
    "bad keys that are scanning": (conduct.SCANNING, 5),
    "seconds to wait after an error": (conduct.MAX_RETRY_S, 60),
    "seconds in which what went well counts": (credit.KEPT_S, 600),
    "keys of a tenant's own making": (derived.MOST, 20),
    "seconds that a rotated key lives on": (derived.MAX_OVERLAP_S, 7 * DAY_S),
    "seconds that a key may last": (derived.MAX_LIFE_S, 10 * 365 * DAY_S),
    "who wait for the issuer": (issuer.WAITING, 4),
    "keys that are remembered": (keys.CACHE_MAX, 10_000),
    "errors that are borne": (ladder.Ladder().errors, 20),
    "seconds that each step holds": (ladder.Ladder().spans_s, (30, 120, 600, 1800, 3600)),
    "tenants whose month is remembered": (quota.TENANTS, 10_000),
    "buckets that are remembered": (rates.MOST_LEASES, 50_000),
    "turns that are remembered": (rates.MOST_TURNS, 1000),
    "seconds until a process is no more": (rates.PROCESS_S, 15),
    "characters of a token": (tokens.LONGEST, 8192),
    "seconds between two clocks": (tokens.LEEWAY_S, 60),
    "days of use at once": (usage.MOST_DAYS, 400),
    "rows of use at once": (usage.MOST_ROWS, 10_000),
    "rows of the ledger in one step": (usage.LIMIT, 10_000),
}


@pytest.mark.parametrize("what", PROMISED)
def test_a_limit_is_the_number_that_was_promised(what: str) -> None:
    found, promised = PROMISED[what]
    assert found == promised
