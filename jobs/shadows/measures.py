"""Measures by which two series of answers are compared, in plain Python: each is a formula that a book has."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

#: An interval misses the truth at this rate, over all moments at which somebody looks.
ALPHA = 0.05
#: Of a histogram of confidences.
BINS = 10
#: The number of pairs at which the interval of a mean is meant to be narrowest.
_TUNED = 1000
_STEPS = 60


@dataclass(frozen=True)
class Interval:
    """A value, and between which two it is, where that can be said."""

    value: float
    low: float | None
    high: float | None


def share(hits: int, of: int) -> Interval | None:
    """How often something is so, with a confidence sequence: it holds however often somebody looks.

    Robbins (1970), with a uniform mixture: all p at which B(k+1, n-k+1) / (p^k (1-p)^(n-k)) < 1/alpha.
    """
    if of == 0:
        return None
    mixed = math.lgamma(hits + 1) + math.lgamma(of - hits + 1) - math.lgamma(of + 2)
    value = hits / of

    def outside(p: float) -> bool:
        likely = (hits and hits * math.log(p)) + ((of - hits) and (of - hits) * math.log1p(-p))
        return mixed - likely >= -math.log(ALPHA)

    return Interval(value, _edge(outside, 0.0, value), _edge(outside, 1.0, value))


def _edge(outside: Callable[[float], bool], far: float, near: float) -> float:
    """Between what is outside and what is not, by halving; `far` itself if nothing there is."""
    if far == near:
        return far
    for _ in range(_STEPS):
        middle = (far + near) / 2
        far, near = (middle, near) if outside(middle) else (far, middle)
    return near


def bounded(value: float) -> float:
    """The same, or the nearest that a float can say."""
    return max(-sys.float_info.max, min(sys.float_info.max, value))


def difference(one: float, other: float) -> float:
    """How much more the other is."""
    return bounded(other - one)


def average(values: Sequence[float]) -> float:
    """The arithmetic mean, also where the sum is more than a float can say."""
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        # Halves leave room for what is rounded up.
        return bounded(2 * math.fsum(value / 2 / len(values) for value in values))


def root_mean_square(values: Sequence[float], of: int) -> float:
    """The root of the sum of their squares, of so many; a float holds no more than the squares of 1e154."""
    most = max(map(abs, values))
    return bounded(most * math.sqrt(math.fsum((value / most) ** 2 for value in values) / of)) if most else 0.0


def mean(values: Sequence[float]) -> Interval | None:
    """The mean, with an asymptotic confidence sequence: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform
    central limit theory and asymptotic confidence sequences" (Annals of Statistics 2024), by its normal mixture. Values
    that are all equal say nothing of how far they spread."""
    if not values:
        return None
    spread = deviation(values)
    count, middle = len(values), average(values)
    log = -2 * math.log(ALPHA)
    tuned = (log + math.log(log + 1)) / _TUNED
    inside = 2 * (count * tuned + 1) / (count**2 * tuned) * math.log(math.sqrt(count * tuned + 1) / ALPHA)
    half = spread * math.sqrt(inside)
    return Interval(middle, middle - half, middle + half) if spread else Interval(middle, None, None)


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample; 0 of values that are all equal, whose mean need not be one of them."""
    if min(values) == max(values):
        return 0.0
    middle = average(values)
    return root_mean_square([difference(middle, value) for value in values], len(values) - 1)


def quantile(values: Sequence[float], at: float) -> float | None:
    """With a straight line between two neighbours (type 7 of Hyndman and Fan, 1996)."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * at
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def kappa(pairs: Counter[tuple[str, str]]) -> float | None:
    """Cohen's: agreement beyond what chance would give; None where chance alone would agree always."""
    total = pairs.total()
    if not total:
        return None
    left, right = margins(pairs)
    agreed = sum(count for (one, other), count in pairs.items() if one == other) / total
    chance = sum(left[label] * right[label] for label in left) / total**2
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def margins(pairs: Mapping[tuple[str, str], int]) -> tuple[Counter[str], Counter[str]]:
    """How often each label was the one side's, and the other's."""
    left: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for (one, other), count in pairs.items():
        left[one] += count
        right[other] += count
    return left, right


def divergence(left: Mapping[K, int], right: Mapping[K, int]) -> float | None:
    """Jensen and Shannon's, in bits: 0 for the same shares, 1 for nothing in common."""
    ours, theirs = sum(left.values()), sum(right.values())
    if not ours or not theirs:
        return None
    bits = []
    for key in left.keys() | right.keys():
        one, other = left.get(key, 0) / ours, right.get(key, 0) / theirs
        middle = (one + other) / 2
        bits += [share_ * math.log2(share_ / middle) / 2 for share_ in (one, other) if share_]
    return min(1.0, max(0.0, math.fsum(bits)))


def stability(left: Mapping[K, int], right: Mapping[K, int], bins: Iterable[K]) -> float | None:
    """The population stability index, with half a case more in each bin on both sides, so that an empty one counts as
    well. By custom 0.1 is little and 0.25 is much."""
    bins = list(bins)
    if not left or not right or not bins:
        return None
    ours, theirs = sum(left.values()) + len(bins) / 2, sum(right.values()) + len(bins) / 2
    shares = [((left.get(key, 0) + 0.5) / ours, (right.get(key, 0) + 0.5) / theirs) for key in bins]
    return math.fsum((other - one) * math.log(other / one) for one, other in shares)


def bin_of(confidence: float) -> int:
    return min(max(int(confidence * BINS), 0), BINS - 1)
