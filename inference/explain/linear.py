"""Exact Shapley values of a weighted sum: each column's weight times how far it is from what is usual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from inference.explain.graph import Node
from inference.explain.trees import NotAdditive

Array = np.ndarray[Any, Any]

OPS = ("LinearClassifier", "LinearRegressor")


class Linear:
    """LinearClassifier and LinearRegressor with the usual rows; the same questions as `forest.Forest`."""

    def __init__(self, node: Node, usual: Array, player_of: Array) -> None:
        said = node.attributes
        try:
            whole = np.asarray(said["coefficients"], float)
            self._weights = whole.reshape(-1, usual.shape[1])
            offsets = said.get("intercepts")
            self._offsets = np.zeros(len(self._weights)) if offsets is None else np.asarray(offsets, float)
        except (KeyError, ValueError) as error:
            raise NotAdditive(f"its {node.op} cannot be read: {error}") from error
        self.post = said.get("post_transform", b"NONE").decode()
        self._by_player = player_of.argsort(kind="stable")
        self._first = np.searchsorted(player_of[self._by_player], np.arange(int(player_of.max()) + 1))
        self._usual = usual.astype(float).mean(axis=0)
        self.base = self.margins(self._usual[None])[0]

    def margins(self, rows: Array) -> Array:
        """What the sums are: [rows, outputs]."""
        # Not as a product of matrices, whose last digits depend on how many rows there are.
        found: Array = np.stack([(rows * weights).sum(axis=1) for weights in self._weights], axis=1) + self._offsets
        return found

    def explain(self, rows: Array, outputs: Array, between: Callable[[], None] = lambda: None) -> tuple[Array, Array]:
        """What the sums are, [rows, outputs], and for one output of each row the Shapley value of each player, [rows,
        players]: they add up to it, less `base`. `between` is called first, and may raise."""
        between()
        each = ((rows - self._usual) * self._weights[outputs]).take(self._by_player, axis=1)
        # Of a column that is as usual, or weighs nothing, 0 and not -0.
        return self.margins(rows), np.add.reduceat(each, self._first, axis=1) + 0.0
