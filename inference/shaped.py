"""A model whose rows may have tensors of different shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from inference import tensors
from inference.given import Array
from inference.interrupt import Interrupt
from inference.model import GraphModel, Rows
from inference.output import Said

T = TypeVar("T")


class Shaped(GraphModel):
    """Rows of equal shapes share a run; where the graph has no axis for rows, each has its own."""

    def found(self, rows: Rows) -> list[list[Array]]:
        return self._by_shape(rows, super().found)

    def predict(self, rows: Rows, interrupt: Interrupt | None = None) -> list[Said]:
        alike = super().predict
        return self._by_shape(rows, lambda those: alike(those, interrupt))

    def _by_shape(self, rows: Rows, answer: Callable[[Rows], Sequence[T]]) -> list[T]:
        groups: dict[Any, list[int]] = {}
        for place, row in enumerate(rows):
            key = [tensors.sizes(value) for value in row.values()] if self.bundle.manifest.shares_runs else [place]
            groups.setdefault(tuple(key), []).append(place)
        found: dict[int, T] = {}
        for places in groups.values():
            found.update(zip(places, answer([rows[place] for place in places]), strict=True))
        return [found[place] for place in range(len(rows))]
