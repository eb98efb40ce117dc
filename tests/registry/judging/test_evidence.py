"""What bad events say of a canary: a good one is left alone however often one looks, a bad one is found soon."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from registry.judging.evidence import TIMES, Evidence, steps

LEVEL = 0.01
CANARIES = 2_000
Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def after(*events: bool, share: float = 0.1, tolerance: float = 1.0) -> Evidence:
    found = Evidence()
    for canary in events:
        found = found.with_bad(canary=canary, share=share, tolerance=tolerance)
    return found


def found_at(canary: Flags, bad: Flags, shares: Numbers, tolerance: float) -> npt.NDArray[np.int64]:
    """For each row of requests, at which of them the canary is found to be worse; -1: at none."""
    sums = np.zeros((len(canary), len(TIMES)))
    found = np.full(len(canary), -1)
    table = {share: [steps(canary=side, share=share, tolerance=tolerance) for side in (False, True)]
             for share in set(shares)}  # fmt: skip
    for at, share in enumerate(shares):
        stable, mine = np.array(table[share])
        step = np.where(canary[:, at, None], mine, stable)
        sums += np.where(bad[:, at, None], step, 0)
        over = np.logaddexp.reduce(sums, axis=1) - math.log(len(TIMES)) >= -math.log(LEVEL)
        found = np.where((found < 0) & over, at, found)
    return found


def traffic(rates: Numbers, shares: Numbers, worse: float = 1.0, seed: int = 7) -> tuple[Flags, Flags]:
    random = np.random.default_rng(seed)
    canary = random.random((CANARIES, len(shares))) < shares
    rate = np.minimum(1, rates * np.where(canary, worse, 1))
    return canary, random.random(canary.shape) < rate


STEADY = np.full(2_000, 0.1)
RAMP = np.repeat([0.01, 0.05, 0.25, 0.5], 500)
OUTAGE = np.where(np.arange(2_000) % 500 < 100, 0.6, 0.005)


@pytest.mark.parametrize(
    ("rates", "shares"),
    [(np.full(2_000, 0.05), STEADY), (np.full(2_000, 0.05), RAMP), (OUTAGE, STEADY), (OUTAGE, RAMP)],
    ids=["steady", "ramp", "outages of both", "ramp with outages"],
)
@pytest.mark.parametrize("tolerance", [1.0, 1.25])
def test_of_good_canaries_at_most_one_in_a_hundred_is_ever_found_worse(
    rates: Numbers, shares: Numbers, tolerance: float
) -> None:
    canary, bad = traffic(rates, shares, worse=tolerance)
    assert (found_at(canary, bad, shares, tolerance) >= 0).mean() <= LEVEL


def test_a_burst_of_one_caller_that_keeps_its_version_counts_once_or_finds_good_canaries_worse() -> None:
    random = np.random.default_rng(7)
    callers = random.random((CANARIES, 20)) < 0.1
    once = found_at(callers, np.ones_like(callers), np.full(20, 0.1), 1.0)
    assert (once >= 0).mean() <= LEVEL
    each = np.repeat(callers, 50, axis=1)
    assert (found_at(each, np.ones_like(each), np.full(1_000, 0.1), 1.0) >= 0).mean() > 0.3


@pytest.mark.parametrize(("share", "failures"), [(0.01, 2), (0.05, 3), (0.1, 4), (0.25, 6), (0.5, 11)])
def test_a_canary_that_always_fails_is_found_by_its_first_few_failures(share: float, failures: int) -> None:
    # Of two metrics, each has half of the level.
    found = [after(*[True] * count, share=share, tolerance=1.25).log_e >= math.log(2 / LEVEL) for count in range(20)]
    assert found.index(True) == failures


def test_a_canary_twice_as_bad_is_found() -> None:
    canary, bad = traffic(np.full(4_000, 0.1), np.full(4_000, 0.1), worse=2.0)
    found = found_at(canary, bad, np.full(4_000, 0.1), 1.0)
    assert (found >= 0).mean() > 0.9


def test_what_is_said_in_one_order_is_said_in_any() -> None:
    assert after(True, False, False).sums == pytest.approx(after(False, False, True).sums)
    assert (after(True, False).canary, after(True, False).stable) == (1, 1)
    assert after().log_e == pytest.approx(0)


@pytest.mark.parametrize("events", [[True] * 5_000, [False] * 5_000])
def test_however_much_is_said_it_is_a_number(events: Sequence[bool]) -> None:
    assert math.isfinite(after(*events).log_e)


def test_how_many_more_it_needs_falls_as_it_comes_nearer_and_is_unknown_before_the_first() -> None:
    how = {"share": 0.1, "tolerance": 1.0, "level": LEVEL}
    assert after().needs(1_000, **how) is None
    few, near = (after(*[True] * count, False, False).needs(1_000, **how) for count in (1, 4))
    assert few is not None
    assert near is not None
    assert few > near > 0
    assert after(True, True).needs(1_000, **{**how, "share": 1.0}) is None
    assert after(True, True).needs(0, **how) is None


def test_how_many_more_it_needs_is_what_is_left_by_what_one_twice_as_bad_would_add() -> None:
    """Of both with half of the traffic, two of three bad events would be its own."""
    own, other = math.log(4 / 3), math.log(2 / 3)
    for events, said in (([True, True, False], 2 * own + other), ([True, False, False, False], own + 3 * other)):
        left, gain = math.log(7 / LEVEL) - said, 2 / 3 * own + 1 / 3 * other
        needs = after(*events, share=0.5).needs(1_000, share=0.5, tolerance=1.0, level=LEVEL)
        assert needs == math.ceil(left / gain * 1_000 / len(events))
