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
        self._groups = np.eye(int(player_of.max()) + 1)[player_of]
        self._usual = usual.astype(float).mean(axis=0)
        self.base = self.margins(self._usual[None])[0]

    def margins(self, rows: Array) -> Array:
        """What the sums are: [rows, outputs]."""
        found: Array = rows @ self._weights.T + self._offsets
        return found

    def explain(self, rows: Array, outputs: Array, between: Callable[[], None] = lambda: None) -> tuple[Array, Array]:
        """What the sums are, [rows, outputs], and for one output of each row the Shapley value of each player, [rows,
        players]: they add up to it, less `base`. `between` is called first, and may raise."""
        between()
        return self.margins(rows), ((rows - self._usual) * self._weights[outputs]) @ self._groups
