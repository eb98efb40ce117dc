"""Each measure against the formula that the book has, written down once more, for many values."""

from __future__ import annotations

import math
import statistics
import sys
from collections import Counter

import numpy as np
import pytest

from jobs.shadows import measures
from registry.routes import part

SERIES = [[part("drawn", str(count), str(number)) * 7 - 2 for number in range(count)] for count in (2, 3, 10, 400)]
HUGE = sys.float_info.max


@pytest.mark.parametrize("values", SERIES, ids=len)
def test_the_interval_of_a_mean_is_that_of_the_paper(values: list[float]) -> None:
    found = measures.mean(values)
    assert found is not None
    # Waudby-Smith and others (2024), theorem 2.2 and equation (16), tuned for 1000 pairs at alpha 0.05.
    n, alpha = len(values), 0.05
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / 1000)
    bound = math.sqrt(2 * (n * rho**2 + 1) / (n**2 * rho**2) * math.log(math.sqrt(n * rho**2 + 1) / alpha))
    middle, spread = statistics.fmean(values), statistics.stdev(values)
    assert (found.value, found.low, found.high) == pytest.approx(
        (middle, middle - spread * bound, middle + spread * bound), rel=1e-9
    )


@pytest.mark.parametrize("values", SERIES, ids=len)
def test_deviations_and_quantiles_are_those_that_others_compute(values: list[float]) -> None:
    assert measures.deviation(values) == pytest.approx(statistics.stdev(values))
    for at in (0.0, 0.05, 0.5, 0.9, 0.99, 1.0):
        assert measures.quantile(values, at) == pytest.approx(float(np.quantile(values, at)))
    assert measures.quantile([], 0.5) is None
    assert measures.quantile([3.0], 0.99) == 3.0


@pytest.mark.parametrize(
    ("values", "average", "deviation"),
    [
        ([1e200, -1e200], 0.0, math.sqrt(2) * 1e200),
        ([HUGE, HUGE, HUGE / 2], HUGE / 6 * 5, HUGE / 2 / math.sqrt(3)),
        ([HUGE] * 3, HUGE, 0.0),
        ([HUGE, -HUGE], 0.0, HUGE),
    ],
)
def test_numbers_as_large_as_a_float_can_say_have_measures_as_well(
    values: list[float], average: float, deviation: float
) -> None:
    found = measures.mean(values)
    assert found is not None
    assert (found.value, measures.deviation(values)) == pytest.approx((average, deviation))


def test_a_root_mean_square_is_that_of_the_books_however_large_or_small() -> None:
    for size in (1.0, 1e-200, 1e200):
        assert measures.root_mean_square([3 * size, -4 * size], 2) == pytest.approx(size * math.sqrt(12.5))
    assert measures.root_mean_square([0.0, 0.0], 1) == 0.0


def test_a_difference_is_no_more_than_a_float_can_say() -> None:
    # The sum of two infinities has no value.
    for one, other, apart in ((3.0, 1.0, -2.0), (HUGE, -HUGE, -HUGE), (-HUGE, HUGE, HUGE)):
        assert measures.difference(one, other) == apart


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (1, 1), (0, 40), (40, 40), (1, 40), (13, 40), (900, 1000)])
def test_a_share_lies_between_the_two_at_which_the_mixture_is_twenty_times_as_likely(hits: int, of: int) -> None:
    found = measures.share(hits, of)
    assert found is not None
    assert found.value == hits / of
    for edge, end in ((found.low, 0.0), (found.high, 1.0)):
        assert edge is not None
        if found.value == end:
            assert edge == end
            continue
        mixed = math.lgamma(hits + 1) + math.lgamma(of - hits + 1) - math.lgamma(of + 2)
        likely = (hits * math.log(edge) if hits else 0) + ((of - hits) * math.log(1 - edge) if hits < of else 0)
        assert mixed - likely == pytest.approx(math.log(20), abs=1e-6)
    assert (found.low or 0) <= found.value <= (found.high or 0)
    assert measures.share(0, 0) is None


def test_agreement_is_told_beyond_chance_and_not_where_chance_alone_agrees() -> None:
    # Of labels that only one side says, too.
    cells = Counter({("a", "a"): 4, ("a", "c"): 1, ("b", "b"): 3, ("b", "a"): 2})
    agreed, chance = 7 / 10, (5 * 6 + 5 * 3 + 0 * 1) / 100
    assert measures.kappa(cells) == pytest.approx((agreed - chance) / (1 - chance))
    assert measures.margins(cells) == (Counter(a=5, b=5), Counter(a=6, b=3, c=1))
    assert measures.kappa(Counter({("a", "a"): 9})) is None
    assert measures.kappa(Counter()) is None


def test_two_shares_are_as_far_apart_as_the_books_say() -> None:
    left, right = Counter(a=1, b=2, c=5), Counter(b=3, c=1, d=6)
    bits = 0.0
    for key in "abcd":
        one, other = left[key] / 8, right[key] / 10
        bits += sum(each * math.log2(each / ((one + other) / 2)) / 2 for each in (one, other) if each)
    assert measures.divergence(left, right) == pytest.approx(bits)
    assert (measures.divergence(left, {}), measures.divergence({}, right)) == (None, None)
    shifted = sum(
        ((right[key] + 0.5) / 12 - (left[key] + 0.5) / 10)
        * math.log(((right[key] + 0.5) / 12) / ((left[key] + 0.5) / 10))
        for key in "abcd"
    )
    assert measures.stability(left, right, iter("abcd")) == pytest.approx(shifted)
    assert measures.stability(left, {}, "a") is None
    assert measures.stability({}, right, "a") is None
    assert measures.stability(left, right, "") is None


def test_the_tenth_of_a_confidence_begins_with_its_lower_end() -> None:
    told = {-0.5: 0, 0.0: 0, 0.0999: 0, 0.1: 1, 0.55: 5, 0.8999: 8, 0.9: 9, 1.0: 9, 1.5: 9}
    assert {confidence: measures.bin_of(confidence) for confidence in told} == told
