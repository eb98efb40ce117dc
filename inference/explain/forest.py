"""Exact Shapley values of a sum over trees, against rows that stand for what is usual.

A leaf asks something of each player on its path. Of a row and one of the usual rows it is known, player by player,
which of them passes. Where each player is passed by one of the two, those that only the row passes (a of them) and
those that only the usual row passes (b) share the leaf's value as Shapley does: (a-1)! b! / (a+b)! of it to each of the
former, -a! (b-1)! / (a+b)! to each of the latter. Which players a row passes is a number of bits, and short paths have
few such numbers: what each is worth against all usual rows is added up once. Then a row costs one look-up for each
leaf, however many usual rows there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from inference.explain.trees import NotAdditive, Trees

Array = np.ndarray[Any, Any]

#: With more players a path's bits are no whole number of 64 bits.
MOST = 62
#: What may be kept of what short paths are worth, what is worked on at once, and pairs of a leaf and a usual row.
TABLES_BYTES, BLOCK, PAIRS = 64 * 2**20, 1 << 22, 1 << 20
#: Of the latter so many for one input, which are looked at in about a second and by nobody who could be told to stop.
MOST_PAIRS = 1 << 24


class Forest:
    """Trees with the usual rows; `player_of` names by its number the player of each column. Safe to share."""

    def __init__(self, trees: Trees, usual: Array, player_of: Array) -> None:
        self._trees, self.players = trees, int(player_of.max()) + 1
        self._lay_out(player_of)
        self._usual = self._passes(usual)
        self.base = self.margins(usual).mean(axis=0)
        self._tables = dict(self._kept())
        self._long = np.flatnonzero((self._sizes > 0) & ~np.isin(self._sizes, [*self._tables]))
        if len(self._long) * len(usual) > MOST_PAIRS:
            pairs = f"{len(self._long)} long paths times {len(usual)} usual rows"
            raise NotAdditive(f"its trees have {pairs}, which is more than {MOST_PAIRS} for each input")

    def _lay_out(self, player_of: Array) -> None:
        """Each leaf's path as slots, one for each player on it, and each slot's as edges, one for each node."""
        feature = self._trees.feature.tolist()
        edges: list[tuple[int, bool]] = []
        slots: list[tuple[int, int, int, int]] = []
        leaves: list[int] = []
        sizes: list[int] = []
        for leaf, path in _paths(self._trees):
            by_player: dict[int, list[tuple[int, bool]]] = {}
            for edge in path:
                by_player.setdefault(int(player_of[feature[edge[0]]]), []).append(edge)
            for bit, (player, asked) in enumerate(by_player.items()):
                slots.append((len(leaves), bit, player, len(edges)))
                edges += asked
            leaves.append(leaf)
            sizes.append(len(by_player))
        self._sizes, self._values = np.array(sizes), self._trees.values[leaves]
        if self._sizes.max() > MOST:
            raise NotAdditive(f"a path of its trees asks for more than {MOST} features")
        self._slots = np.array(slots, np.int64).reshape(-1, 4)
        self._nodes, self._ways = np.array(edges, np.int64).reshape(-1, 2).T
        self._full = (np.int64(1) << self._sizes) - 1
        self._player = np.zeros((len(leaves), self._sizes.max()), np.int64)
        self._player[self._slots[:, 0], self._slots[:, 1]] = self._slots[:, 2]

    def _passes(self, rows: Array) -> Array:
        """Of each row and leaf, as bits, which players on its path lead there: [rows, leaves]."""
        found = np.zeros((len(rows), len(self._sizes)), np.int64)
        if not len(self._slots):
            return found
        leaf, bit, _, first = self._slots.T
        begins = np.flatnonzero(bit == 0)
        size = max(1, BLOCK // max(len(self._nodes), len(self._trees.mode)))
        for start in range(0, len(rows), size):
            taken = decided(self._trees, rows[start : start + size])[:, self._nodes] == self._ways
            passed = np.logical_and.reduceat(taken, first, axis=1).astype(np.int64)
            found[start : start + size, leaf[begins]] = np.add.reduceat(passed << bit, begins, axis=1)
        return found

    def margins(self, rows: Array) -> Array:
        """What the trees give: [rows, outputs]."""
        found: Array = (self._passes(rows) == self._full).astype(float) @ self._values + self._trees.base
        return found

    def values(self, rows: Array, output: int) -> Array:
        """The Shapley values of each player for one output, [rows, players]: they add up to its margin, less `base`."""
        found, worth = np.zeros((len(rows), self.players)), self._values[:, output]
        size = max(1, BLOCK // max(1, len(self._slots)))
        for start in range(0, len(rows), size):
            bits = self._passes(rows[start : start + size])
            found[start : start + size] += self._of_tables(bits, worth)
            step = max(1, PAIRS // len(self._usual))
            for place, one in enumerate(bits, start):
                for first in range(0, len(self._long), step):
                    found[place] += self._of_pairs(self._long[first : first + step], one, worth)
        return found

    def _of_tables(self, bits: Array, worth: Array) -> Array:
        """What the leaves of short paths are worth to each player, of rows that pass these: [rows, players]."""
        found, rows = np.zeros(len(bits) * self.players), np.arange(len(bits))[:, None, None]
        for size, (leaves, table) in self._tables.items():
            shares = table[np.arange(len(leaves)), bits[:, leaves]] * worth[leaves, None]
            players = rows * self.players + self._player[leaves, :size]
            found += np.bincount(players.ravel(), shares.ravel(), len(found))
        return found.reshape(len(bits), self.players)

    def _kept(self) -> Iterator[tuple[int, tuple[Array, Array]]]:
        """By the players on a path: which leaves have so many, and what each number of bits is worth there to each of
        the players, [leaves, 2^players, players]; from the shortest on, as long as there is room."""
        room = TABLES_BYTES // 8
        for size in sorted({*self._sizes.tolist()} - {0}):
            leaves = np.flatnonzero(self._sizes == size)
            room -= max(len(leaves), 2**size) * 2**size * size
            if room < 0:
                return
            seen = np.zeros((len(leaves), 2**size))
            np.add.at(seen, (np.arange(len(leaves)), self._usual[:, leaves]), 1 / len(self._usual))
            every = np.arange(2**size)
            shares = np.stack([*_shares(every[:, None], every[None, :], size)], axis=-1)
            yield size, (leaves, np.einsum("lu,xup->lxp", seen, shares, optimize=True))

    def _of_pairs(self, leaves: Array, bits: Array, worth: Array) -> Array:
        """The same of leaves whose paths are long, usual row by usual row: few of them have anything to share."""
        usual = self._usual[:, leaves]
        row, at = np.nonzero((bits[leaves] | usual) == self._full[leaves])
        leaf, found = leaves[at], np.zeros(self.players)
        weight = worth[leaf] / len(usual)
        for bit, share in enumerate(_shares(bits[leaf], usual[row, at], self._player.shape[1])):
            found += np.bincount(self._player[leaf, bit], share * weight, self.players)
        return found


def decided(trees: Trees, rows: Array) -> Array:
    """Of each row, at which nodes it goes the way of yes: [rows, nodes]."""
    found = rows[:, trees.feature]
    split, mode = trees.split.astype(found.dtype), np.array(trees.mode)
    taken = np.zeros(found.shape, bool)
    for name, compare in _COMPARES.items():
        at = np.flatnonzero(mode == name)
        taken[:, at] = compare(found[:, at], split[at])
    for node, members in trees.members.items():
        taken[:, node] = np.isin(found[:, node], members.astype(found.dtype))
    return taken | (np.isnan(found) & trees.missing_is_yes)


_COMPARES = {
    "LEQ": np.less_equal, "LT": np.less, "GTE": np.greater_equal, "GT": np.greater, "EQ": np.equal, "NEQ": np.not_equal,
}  # fmt: skip


def _paths(trees: Trees) -> Iterator[tuple[int, list[tuple[int, bool]]]]:
    """Each leaf, with the nodes that lead there and which way; raises NotAdditive for what is no tree."""
    yes, no = trees.yes.tolist(), trees.no.tolist()
    visits = 0
    for root in trees.roots.tolist():
        open_: list[tuple[int, list[tuple[int, bool]]]] = [(root, [])]
        while open_:
            node, path = open_.pop()
            visits += 1
            if visits > len(yes):
                raise NotAdditive("its nodes are no trees: two lead to the same one")
            if yes[node] < 0:
                yield node, path
            else:
                open_ += [(yes[node], [*path, (node, True)]), (no[node], [*path, (node, False)])]


def _shares(row: Array, usual: Array, size: int) -> Iterator[Array]:
    """Player by player, what of a leaf's value is theirs, where a row and a usual row pass these."""
    only_row, only_usual = row & ~usual, usual & ~row
    a, b = np.bitwise_count(only_row), np.bitwise_count(only_usual)
    shared = (row | usual) == (1 << size) - 1 if row.ndim > 1 else np.ones(a.shape, bool)
    gains, losses = _WEIGHTS[a, b] * shared, _WEIGHTS[b, a] * shared
    for bit in range(size):
        yield gains * (only_row >> bit & 1) - losses * (only_usual >> bit & 1)


def _weights() -> Array:
    """(a-1)! b! / (a+b)!, at [a, b]."""
    found = np.zeros((MOST + 1, MOST + 1))
    for a in range(1, MOST + 1):
        found[a] = [1 / (a * math.comb(a + b, a)) for b in range(MOST + 1)]
    return found


_WEIGHTS = _weights()
