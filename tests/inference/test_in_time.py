"""Explanations by questions that have only so much time: what is known by then, and what is asked in any case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference.explain import sampled
from tests.inference.test_sampled import PLAYERS, game


def test_when_it_is_late_there_is_what_is_known_by_then() -> None:
    looks = iter([False, False, True])
    found = sampled.estimate(game(1), PLAYERS, 2000, 1, sampled.Enough(late=lambda _: next(looks), at_once=6))
    assert (found.algorithm, found.asked, found.cut_short) == ("leverage", 3 * PLAYERS + 2 * 6 + 2, True)
    truth = sampled.estimate(game(1), PLAYERS, 2**PLAYERS, 0).scores
    assert np.mean(np.abs(found.scores - truth) <= 3 * found.errors) > 0.9
    assert found.base + found.scores.sum() == pytest.approx(found.whole)


def test_it_is_cut_short_only_where_more_was_wanted_than_there_was_time_for() -> None:
    def cut_short(**enough: Any) -> bool:
        return sampled.estimate(game(1), PLAYERS, 2000, 1, sampled.Enough(**enough)).cut_short

    def never(_: float) -> bool:
        return True

    assert (cut_short(), cut_short(tolerance=1e-9), cut_short(tolerance=1e9, late=never)) == (False, False, False)
    assert (cut_short(late=never), cut_short(tolerance=1e-9, late=never)) == (True, True)


def test_where_there_is_no_time_for_all_combinations_some_will_do() -> None:
    asked: list[float] = []

    def late(more: float) -> bool:
        asked.append(more)
        return True

    found = sampled.estimate(game(1), PLAYERS, 2**PLAYERS, 1, sampled.Enough(late=late))
    assert asked[0] == 2**PLAYERS / sampled.FIRST - 1
    assert (found.algorithm, found.asked) == ("leverage", 3 * PLAYERS + 2)
    assert sampled.estimate(game(1, 6), 6, 64, 1, sampled.Enough(late=late)).algorithm == "enumeration"
    # What was thought to be in time may be late all the same.
    looks = iter([False, False, True, False, True])
    found = sampled.estimate(game(1), PLAYERS, 2**PLAYERS, 1, sampled.Enough(late=lambda _: next(looks), at_once=8))
    assert (found.algorithm, found.asked) == ("leverage", 3 * PLAYERS + 8 + 2)


def test_permutations_end_when_they_are_late_or_will_do_and_two_of_them_are_walked_in_any_case() -> None:
    two, three = sampled.least(PLAYERS), sampled.FOR_REGRESSION * PLAYERS - 1
    whole, least = (sampled.estimate(game(1), PLAYERS, budget, 1) for budget in (three, two))
    assert (whole.algorithm, whole.asked, whole.cut_short) == ("permutation", 6 * (PLAYERS - 1) + 2, False)
    for enough, cut_short in ((sampled.Enough(late=lambda _: True), True), (sampled.Enough(1e9), False)):
        found = sampled.estimate(game(1), PLAYERS, three, 1, enough)
        assert (found.algorithm, found.asked, found.cut_short) == ("permutation", two, cut_short)
        assert (found.scores.tolist(), found.errors.tolist()) == (least.scores.tolist(), least.errors.tolist())
    # A walk of which not every step is known says nothing.
    looks = iter([False, True])
    found = sampled.estimate(game(1), PLAYERS, three, 1, sampled.Enough(late=lambda _: next(looks), at_once=6))
    assert (found.asked, found.cut_short) == (two, True)
    assert not sampled.estimate(game(1), PLAYERS, two, 1, sampled.Enough(late=lambda _: True)).cut_short
