"""Shapley values of whatever can only be asked: what is it worth if just these players are there?

Few players are asked in every combination. Of more, permutations are walked in both directions while there is room for
less than about six questions for each player; above, coalitions are drawn by their leverage, each with its complement,
and a weighted regression is solved. The error that is stated is that of the estimate itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
#: What coalitions, [coalitions, players] of true and false, are worth.
Worth = Callable[[Array], Array]

#: So many questions for each player, and regression is the better estimate.
FOR_REGRESSION = 6
#: What few rounds leave unknown of their own spread: twice this error is then exceeded by one score in twenty, as
#: Student's t of five degrees of freedom has it, and as games of up to three players' terms confirm.
FEW = 1.3
#: So many combinations tell how long all of them would take.
FIRST = 64
#: After each stage there are so many times as many answers as before it; then it is looked whether they will do.
STAGE = 1.5
#: Into so many parts the coalitions are cut, each left out once, to see how far the estimate moves.
PARTS = 12


@dataclass(frozen=True)
class Estimate:
    """What each player is worth and how far off that may be, as a standard error; of nobody and of all together; and
    whether there was no time for all that was to be asked."""

    algorithm: str
    scores: Array
    errors: Array
    base: float
    whole: float
    asked: int
    cut_short: bool = False


@dataclass(frozen=True)
class Enough:
    """What ends the asking before all questions are asked: every score is known within `tolerance` (twice its standard
    error), or it is too `late` for so many times as many as were asked by then. `least` are asked in any case."""

    tolerance: float = 0.0
    late: Callable[[float], bool] = lambda _: False
    at_once: int = 64  #: an even number: so many are asked between two looks at the clock

    def by(self, errors: Array) -> bool:
        """Whether these are within the tolerance, if there is one."""
        return self.tolerance > 0 and bool(2 * errors.max() <= self.tolerance)

    def asked(self, worth: Worth, masks: Array) -> Array:
        """What the first of these are worth: as many of them as there is time for."""
        found = [np.empty(0)]
        for start in range(0, len(masks), self.at_once):
            if self.late(0):
                break
            found.append(worth(masks[start : start + self.at_once]))
        return np.concatenate(found)


ALL = Enough()


def least(players: int) -> int:
    """The fewest questions from which an estimate with an error can be made."""
    return 2**players if players < 4 else 4 * (players - 1) + 2


def estimate(worth: Worth, players: int, budget: int, seed: int, enough: Enough = ALL) -> Estimate:
    """By at most so many questions, no fewer than `least`; the same seed asks the same ones in the same order."""
    random = np.random.default_rng(seed)
    # For a tolerance all combinations are asked where that is about as quick as to begin with some.
    if 2**players <= (min(budget, 2 * FOR_REGRESSION * players) if enough.tolerance else budget):
        every = _every(worth, players, enough)
        if every is not None:
            return every
    base, whole = (float(value) for value in worth(np.array([np.zeros(players, bool), np.ones(players, bool)])))
    if budget < FOR_REGRESSION * players:
        orders = [random.permutation(players) for _ in range((budget - 2) // (2 * (players - 1)))]
        return _walked(worth, orders, base, whole, enough)
    return _by_leverage(worth, _drawn(players, (budget - 2) // 2, random), base, whole, enough)


def _by_leverage(worth: Worth, masks: Array, base: float, whole: float, enough: Enough) -> Estimate:
    """From these coalitions in stages, of which the first is asked in any case."""
    players = masks.shape[1]
    first, *later = _stages(FOR_REGRESSION * players // 2, len(masks))
    values = worth(masks[:first])
    for upto in later:
        if enough.tolerance and enough.by(_regressed(masks[: len(values)], values, base, whole)[1]):
            break
        values = np.concatenate([values, enough.asked(worth, masks[len(values) : upto])])
        if len(values) < upto:
            break
    scores, off = _regressed(masks[: len(values)], values, base, whole)
    if len(values) + 2 == 2**players:
        return Estimate("enumeration", scores, np.zeros(players), base, whole, len(values) + 2)
    cut_short = len(values) < len(masks) and not enough.by(off)
    return Estimate("leverage", scores, off, base, whole, len(values) + 2, cut_short)


def _stages(first: int, last: int) -> Iterator[int]:
    """How many coalitions, each with its complement, are asked for by the end of each stage."""
    upto = first + first % 2
    while upto < last:
        yield upto
        upto += int(upto * (STAGE - 1)) // 2 * 2
    yield last


def _every(worth: Worth, players: int, enough: Enough) -> Estimate | None:
    """Exact: all there are; None where there is no time for that many."""
    numbers = np.arange(2**players)
    masks = (numbers[:, None] >> np.arange(players) & 1).astype(bool)
    values = worth(masks[:FIRST])
    if len(masks) > FIRST and enough.late(len(masks) / FIRST - 1):
        return None
    values = np.concatenate([values, enough.asked(worth, masks[FIRST:])])
    if len(values) < len(masks):
        return None
    size = np.bitwise_count(numbers)
    scores = np.empty(players)
    for player in range(players):
        without = numbers[numbers >> player & 1 == 0]
        weights = np.array([1 / (players * math.comb(players - 1, int(count))) for count in size[without]])
        scores[player] = weights @ (values[without | 1 << player] - values[without])
    return Estimate("enumeration", scores, np.zeros(players), float(values[0]), float(values[-1]), len(values))


def _walked(worth: Worth, orders: Sequence[Array], base: float, whole: float, enough: Enough) -> Estimate:
    """From permutations, each forwards and backwards, of which the first two are asked in any case."""
    players = len(orders[0])
    masks = np.array([[_walk(order), _walk(order[::-1])] for order in orders])
    first = worth(masks[:2].reshape(-1, players))
    scores, off = _stepped(orders[:2], first, base, whole)
    found = Estimate("permutation", scores, off, base, whole, len(first) + 2)
    if len(orders) == 2 or enough.by(off):
        return found
    more = masks[2:].reshape(-1, players)
    values = enough.asked(worth, more)
    if len(values) < len(more):
        return dataclasses.replace(found, cut_short=True)
    scores, off = _stepped(orders, np.concatenate([first, values]), base, whole)
    return dataclasses.replace(found, scores=scores, errors=off, asked=len(first) + len(more) + 2)


def _stepped(orders: Sequence[Array], values: Array, base: float, whole: float) -> tuple[Array, Array]:
    """What each player brought in, and how far off that may be."""
    rounds, players = len(orders), len(orders[0])
    steps = values.reshape(rounds, 2, players - 1)
    each = np.zeros((rounds, players))
    for number, order in enumerate(orders):
        for way, walked in enumerate((order, order[::-1])):
            each[number, walked] += np.diff([base, *steps[number, way], whole]) / 2
    spread = each.var(axis=0, ddof=1) / rounds
    # Two or three rounds, and there never are more, say little of one player: what they say of all counts twice.
    return each.mean(axis=0), FEW * np.sqrt((spread + 2 * spread.mean()) / 3)


def _walk(order: Array) -> Array:
    """One player after the other comes in: the coalitions between nobody and all."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    found: Array = place[None, :] < np.arange(1, len(order))[:, None]
    return found


def _drawn(players: int, pairs: int, random: np.random.Generator) -> Array:
    """Coalitions of every size alike, each once and with its complement right behind it."""
    seen: set[bytes] = set()
    found: list[Array] = []
    # All there are may be few.
    for _ in range(50 * pairs):
        if len(found) == 2 * pairs:
            break
        mask = np.zeros(players, bool)
        mask[random.choice(players, int(random.integers(1, players)), replace=False)] = True
        if mask.tobytes() not in seen:
            seen |= {mask.tobytes(), (~mask).tobytes()}
            found += [mask, ~mask]
    return np.array(found)


def _regressed(masks: Array, values: Array, base: float, whole: float) -> tuple[Array, Array]:
    """The weighted least squares, under which all scores add up; the error is a jack-knife's over parts of pairs."""
    size, players = masks.sum(axis=1), masks.shape[1]
    centred = masks - size[:, None] / players
    wanted = values - base - (whole - base) * size / players

    def solved(kept: Array) -> Array:
        # All coalitions of a size weigh 1 / (size (players - size)) together, however many of them were drawn.
        drawn = np.bincount(size[kept], minlength=players + 1)[size[kept]]
        weight = np.sqrt(1 / (drawn * size[kept] * (players - size[kept])))
        raw = np.linalg.lstsq(centred[kept] * weight[:, None], wanted[kept] * weight)[0]
        found: Array = raw - raw.mean() + (whole - base) / players
        return found

    part = np.arange(len(masks)) // 2 % PARTS
    without = np.array([solved(part != left_out) for left_out in range(PARTS)])
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return solved(np.ones(len(masks), bool)), np.sqrt(spread * (PARTS - 1) / PARTS)
