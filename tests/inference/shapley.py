"""Shapley values by their definition: every coalition is asked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def values(worth: Callable[[Sequence[int]], float], players: int) -> list[float]:
    """Of each player, what it adds to a coalition, over all orders in which they may come."""
    known = {
        there: worth(there) for size in range(players + 1) for there in itertools.combinations(range(players), size)
    }
    found = [0.0] * players
    for there, value in known.items():
        for player in set(range(players)) - set(there):
            share = 1 / (players * math.comb(players - 1, len(there)))
            found[player] += share * (known[tuple(sorted((*there, player)))] - value)
    return found


def against(answer: Callable[[Array], Array], row: Array, usual: Array, groups: Sequence[Sequence[int]]) -> list[float]:
    """Of groups of columns, where those that are not there are as in each of the usual rows in turn."""

    def worth(there: Sequence[int]) -> float:
        mixed = usual.copy()
        for player in there:
            mixed[:, list(groups[player])] = row[list(groups[player])]
        return float(answer(mixed).mean())

    return values(worth, len(groups))
