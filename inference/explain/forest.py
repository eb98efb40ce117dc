"""Exact Shapley values of a sum over trees, against rows that stand for what is usual.

A leaf asks something of each player on its path. Of a row and one of the usual rows it is known, player by player,
which of them passes. Where each player is passed by one of the two, those that only the row passes (a of them) and
those that only the usual row passes (b) share the leaf's value as Shapley does: (a-1)! b! / (a+b)! of it to each of the
former, -a! (b-1)! / (a+b)! to each of the latter. Which players a row passes is a number of bits, and short paths have
few such numbers: what each is worth against all usual rows is added up once. Then a row costs one look-up for each
leaf and player, however many usual rows there are. Rows come last in what is worked on, [leaves, rows]: each step is
one over many rows that lie side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from inference.explain.trees import NotAdditive, Trees

Array = np.ndarray[Any, Any]

#: With more players a path's bits are no whole number of 64 bits.
MOST = 62
#: What may be kept of what short paths are worth, what is worked on at once, and pairs of a leaf and a usual row.
TABLES_BYTES, BLOCK, PAIRS = 64 * 2**20, 1 << 20, 1 << 20
#: Of the latter so many for one input, which are looked at in about a second and by nobody who could be told to stop.
MOST_PAIRS = 1 << 24


class Forest:
    """Trees with the usual rows; `player_of` names by its number the player of each column. Safe to share."""

    def __init__(self, trees: Trees, usual: Array, player_of: Array) -> None:
        self._trees, self.players = trees, int(player_of.max()) + 1
        mode = np.array(trees.mode)
        self._asking = [(compare, np.flatnonzero(mode == name)) for name, compare in _COMPARES.items()]
        self._lay_out(player_of)
        self._usual = np.concatenate([self._passes(block) for block in self._blocks(usual)], axis=1)
        self.base = self._margins(self._usual).mean(axis=0)
        self._keep()
        self._long = np.flatnonzero((self._sizes > 0) & ~self._short)
        if len(self._long) * len(usual) > MOST_PAIRS:
            pairs = f"{len(self._long)} long paths times {len(usual)} usual rows"
            raise NotAdditive(f"its trees have {pairs}, which is more than {MOST_PAIRS} for each input")

    def _lay_out(self, player_of: Array) -> None:
        """Each leaf's path as slots, one for each player on it, player by player; each slot's as edges, one for each
        node."""
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
                slots.append((player, len(leaves), bit, len(edges)))
                edges += asked
            leaves.append(leaf)
            sizes.append(len(by_player))
        self._sizes, self._values = np.array(sizes), self._trees.values[leaves]
        if self._sizes.max() > MOST:
            raise NotAdditive(f"a path of its trees asks for more than {MOST} features")
        laid = np.array(slots, np.int64).reshape(-1, 4)
        asks = np.diff(laid[:, 3], append=len(edges))
        order = laid[:, 0].argsort(kind="stable")
        player, self._leaf, self._bit, first = laid[order].T
        self._full = (np.int64(1) << self._sizes) - 1
        self._player = np.zeros((len(leaves), self._sizes.max()), np.int64)
        self._player[self._leaf, self._bit] = player
        self._edges = [*_edges(np.array(edges, np.int64).reshape(-1, 2), first, asks[order])]
        self._of_bit = [np.flatnonzero(self._bit == bit) for bit in range(self._sizes.max())]

    def _passes(self, rows: Array) -> Array:
        """Of each leaf and row, as bits, which players on its path lead there: [leaves, rows]."""
        found = np.zeros((len(self._sizes), len(rows)), np.int64)
        taken = self._decided(rows.T)
        passed = np.ones((len(self._leaf), len(rows)), bool)
        for slots, nodes, ways in self._edges:
            passed[slots] &= taken[nodes] == ways
        for bit, slots in enumerate(self._of_bit):
            found[self._leaf[slots]] |= passed[slots].astype(np.int64) << bit
        return found

    def _decided(self, columns: Array) -> Array:
        """At which nodes each row goes the way of yes: [nodes, rows]."""
        feature, split = self._trees.feature, self._trees.split.astype(columns.dtype)
        taken = np.zeros((len(feature), columns.shape[1]), bool)
        for compare, nodes in self._asking:
            taken[nodes] = compare(columns[feature[nodes]], split[nodes, None])
        for node, members in self._trees.members.items():
            taken[node] = np.isin(columns[feature[node]], members.astype(columns.dtype))
        missing = np.flatnonzero(self._trees.missing_is_yes)
        taken[missing] |= np.isnan(columns[feature[missing]])
        return taken

    def margins(self, rows: Array) -> Array:
        """What the trees give: [rows, outputs]."""
        return np.concatenate([self._margins(self._passes(block)) for block in self._blocks(rows)])

    def explain(self, rows: Array, outputs: Array, between: Callable[[], None] = lambda: None) -> tuple[Array, Array]:
        """What the trees give, [rows, outputs], and for one output of each row the Shapley value of each player, [rows,
        players]: they add up to it, less `base`. `between` is called every now and then, and may raise."""
        margins, values = [], []
        for block, chosen in zip(self._blocks(rows), self._blocks(outputs), strict=True):
            between()
            bits, worth = self._passes(block), self._values[:, chosen]
            found = self._of_tables(bits, worth)
            step = max(1, PAIRS // self._usual.shape[1])
            for place in range(len(block)):
                for first in range(0, len(self._long), step):
                    between()
                    found[place] += self._of_pairs(self._long[first : first + step], bits[:, place], worth[:, place])
            margins.append(self._margins(bits))
            values.append(found)
        return np.concatenate(margins), np.ascontiguousarray(np.concatenate(values))

    def _blocks(self, rows: Array) -> list[Array]:
        size = max(1, BLOCK // max(len(self._leaf), len(self._sizes)))
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _margins(self, bits: Array) -> Array:
        reached = bits == self._full[:, None]
        return np.stack([_added(reached * value[:, None]) for value in self._values.T], axis=1) + self._trees.base

    def _of_tables(self, bits: Array, worth: Array) -> Array:
        """What the leaves of short paths are worth to each player, of rows that pass these: [rows, players]."""
        found = np.zeros((self.players, bits.shape[1]))
        leaf, first = self._kept
        shares = self._table[first[:, None] + bits[leaf]] * worth[leaf]
        for player, (start, end) in enumerate(itertools.pairwise(self._bounds)):
            found[player] = _added(shares[start:end])
        return found.T

    def _keep(self) -> None:
        """What each number of bits is worth to each player on a path: 2^players numbers for each slot, one after the
        other; of the shortest paths on, as long as there is room."""
        room, tables, at = TABLES_BYTES // 8, [np.zeros(0)], 0
        begins = np.full(self._player.shape, -1)
        for size in sorted({*self._sizes.tolist()} - {0}):
            leaves = np.flatnonzero(self._sizes == size)
            room -= max(len(leaves), 2**size) * 2**size * size
            if room < 0:
                break
            tables.append(self._worth(leaves, size).ravel())
            begins[leaves, :size] = at + np.arange(len(leaves) * size).reshape(-1, size) * 2**size
            at += len(tables[-1])
        self._table, first = np.concatenate(tables), begins[self._leaf, self._bit]
        self._short, kept = begins.max(axis=1, initial=-1) >= 0, first >= 0
        self._kept = self._leaf[kept], first[kept]
        players = self._player[self._leaf, self._bit][kept]
        self._bounds = np.searchsorted(players, np.arange(self.players + 1)).tolist()

    def _worth(self, leaves: Array, size: int) -> Array:
        """Against all usual rows, at a value of 1: [leaves, players, 2^players]."""
        seen = np.zeros((len(leaves), 2**size))
        np.add.at(seen, (np.arange(len(leaves))[:, None], self._usual[leaves]), 1 / self._usual.shape[1])
        every = np.arange(2**size)
        shares = np.stack([*_shares(every[:, None], every[None, :], size)])
        found: Array = np.einsum("lu,pxu->lpx", seen, shares, optimize=True)
        return found

    def _of_pairs(self, leaves: Array, bits: Array, worth: Array) -> Array:
        """The same of leaves whose paths are long, usual row by usual row: few of them have anything to share."""
        usual = self._usual[leaves]
        at, row = np.nonzero((bits[leaves, None] | usual) == self._full[leaves, None])
        leaf, found = leaves[at], np.zeros(self.players)
        weight = worth[leaf] / usual.shape[1]
        for bit, share in enumerate(_shares(bits[leaf], usual[at, row], self._player.shape[1])):
            found += np.bincount(self._player[leaf, bit], share * weight, self.players)
        return found


def _added(numbers: Array) -> Array:
    """The sum over the first axis, one after the other, so that a row has the same last digits alone and in company:
    NumPy adds a single column in another order, and a product of matrices in one that depends on their size."""
    found: Array = numbers.cumsum(axis=0)[-1] if numbers.shape[1] == 1 and len(numbers) else numbers.sum(axis=0)
    return found


def _edges(every: Array, first: Array, count: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Of slots with so many edges each, the first edge of all, then the second of those that have one, and so on: which
    slots, the nodes, and the ways from there."""
    for number in range(count.max(initial=0)):
        slots = np.flatnonzero(count > number)
        nodes, ways = every[first[slots] + number].T
        yield slots, nodes, ways[:, None].astype(bool)


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
