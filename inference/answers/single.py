"""Answers that are made of one output of the graph."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from core import errors
from inference import faults, given, nodes
from inference.answers.answer import Answer
from inference.given import Array, Floats
from inference.output import Said

#: Which of several outputs is the answer, where more than one can be.
LIKELY = "probabilities"
#: What else a graph may be meant to give.
KEYS = ("labels", "tags", "numbers", "embedding", "tensors", "text", "boxes")


class Single(Answer):
    """The one that model.yaml names, or the one that fits."""

    def choose(self, graph: Path, gives: Sequence[Any]) -> None:
        item = self._chosen(graph, gives)
        if not self.fits(item):
            others = faults.either([key for key in KEYS if key != self.key])
            issue = f"gives {nodes.one(item)}, but must give {self.wanted}; where it is meant to, say {others} in place"
            raise errors.BundleInvalid(f"{graph} {issue} of {self.key}")
        self.outputs = [str(item.name)]

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What the graph must give, in words."""

    @abstractmethod
    def fits_exactly(self, item: Any) -> bool:
        """Whether an output of the graph is just as `wanted` says, as far as its type and shape tell."""

    def fits(self, item: Any) -> bool:
        """Whether it can be it."""
        return self.fits_exactly(item)

    def _chosen(self, graph: Path, gives: Sequence[Any]) -> Any:
        by_name, said = {item.name: item for item in gives}, self.manifest.output
        if said is not None:
            if said not in by_name:
                has = nodes.every(gives)
                raise errors.BundleInvalid(f"{graph} has no output '{said}', as output of model.yaml says, but {has}")
            return by_name[said]
        if len(gives) == 1:
            return gives[0]
        fitting = [item for item in gives if self.fits_exactly(item)] or [item for item in gives if self.fits(item)]
        likely = [item for item in fitting if item.name == LIKELY and self.probabilities]
        if len(likely or fitting) == 1:
            return (likely or fitting)[0]
        which = (fitting or gives)[0].name
        raise errors.BundleInvalid(
            f"{graph} gives {nodes.every(gives)}, but must give {self.wanted}: say in model.yaml which of them it is, "
            f"such as output: {which}"
        )


class Scores(Single):
    """So many floats for each row, [rows, width], or [rows] of one; where a row has its own run, [width] as well."""

    @property
    @abstractmethod
    def width(self) -> int:
        """How many there are for each row."""

    def fits_exactly(self, item: Any) -> bool:
        shapes = [(None, self.width), *([] if self.manifest.shares_runs else [(self.width,)])]
        return item.type in nodes.FLOATS and (not item.shape or any(nodes.agree(item.shape, one) for one in shapes))

    def fits(self, item: Any) -> bool:
        return self.fits_exactly(item) or (self.width == 1 and nodes.is_number(item))

    def floats(self, value: Any) -> Any:
        """What the graph gave, as an array if it can be one."""
        one = self.width == 1 and isinstance(value, np.ndarray) and value.ndim == 1
        return value.reshape(-1, 1) if one else value

    @abstractmethod
    def of(self, rows: Sequence[Mapping[str, Any]], matrix: Floats) -> list[Said]:
        """The answers, of finite floats [rows, width]."""

    def row(self, value: Any) -> Any:
        """What a class in Python gave to one row, as so many floats; raises ModelError."""
        return value

    def by_name(self, value: Any, names: Sequence[str]) -> Any:
        """The scores of a mapping with just these names, in their order; whatever is none, as it is. Raises
        ModelError."""
        if not isinstance(value, Mapping):
            return value
        if value.keys() != set(names):
            gave, known = ", ".join(map(str, value)) or "nothing", ", ".join(names)
            raise errors.ModelError(f"{self.manifest.name} gave scores for {gave}, but its {self.key} are {known}")
        return [value[name] for name in names]

    def gathered(self, rows: Sequence[Any]) -> list[Array]:
        name = self.manifest.name
        try:
            matrix = np.array([self.row(row) for row in rows])
        except ValueError as error:
            raise errors.ModelError(f"{name} gave answers that are not of one length") from error
        return [matrix.astype(float) if matrix.dtype.kind in "iu" else matrix]

    def read(self, values: Sequence[Any], count: int) -> list[Array]:
        checked, [value] = given.probabilities if self.probabilities else given.floats, values
        if not self.manifest.shares_runs and getattr(value, "shape", None) == (self.width,):
            value = value[np.newaxis]
        return [checked(self.manifest.name, self.outputs[0], self.floats(value), count, self.width)]

    def read_apart(self, runs: Sequence[Sequence[Any]]) -> list[list[Array]]:
        whole = (1, self.width)
        if all(getattr(value, "shape", None) == whole for [value] in runs):
            # To look at all of them costs what it costs to look at one.
            return [self.read([np.concatenate([value for [value] in runs])], len(runs))]
        return super().read_apart(runs)

    def said(self, rows: Sequence[Mapping[str, Any]], runs: Sequence[Sequence[Array]]) -> list[Said]:
        return self.of(rows, np.concatenate([matrix for [matrix] in runs]))


def rounded(values: Array) -> list[Any]:
    """Numbers as lists, with the seven digits that a float32 has; more of a double."""
    wide = values.astype(np.float32) if values.dtype == np.float16 else values
    found: list[Any] = orjson.loads(orjson.dumps(np.ascontiguousarray(wide), option=orjson.OPT_SERIALIZE_NUMPY))
    return found
