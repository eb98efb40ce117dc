"""What a graph gave, if it is what it has to give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core import errors

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: So far a probability may be from 0 to 1: a softmax of 16 bits rounds.
ROUNDED = 0.001


def floats(model: str, output: str, given: object, *shape: int | None) -> Floats:
    """What a model's graph gave as this output, if it is finite floats of this shape, None for any size; raises
    ModelError saying what it is instead."""
    found = _shaped(model, output, given, *shape)
    if not np.isfinite(found).all():
        raise errors.ModelError(f"{model} gave '{output}' with a number that is not finite")
    return found


def probabilities(model: str, output: str, given: object, *shape: int | None) -> Floats:
    """The same of floats that are probabilities, from 0 to 1."""
    found = _shaped(model, output, given, *shape)
    low, high = found.min(initial=0), found.max(initial=1)
    if low == 0 and high == 1:  # as most are; where one is not finite, neither is one of these
        return found
    floats(model, output, given, *shape)
    if low < -ROUNDED or high > 1 + ROUNDED:
        worst = low if low < -ROUNDED else high
        issue = f"with {worst:g}, which is no probability: end the graph with a softmax or a sigmoid"
        raise errors.ModelError(f"{model} gave '{output}' {issue}")
    return np.clip(found, 0, 1)


def _shaped(model: str, output: str, given: object, *shape: int | None) -> Floats:
    if not isinstance(given, np.ndarray) or given.dtype.kind != "f" or not fits(given.shape, shape):
        raise errors.ModelError(f"{model} gave '{output}' as {described(given)}, but must give floats {sizes(shape)}")
    return given


def sizes(shape: Sequence[int | None]) -> str:
    """A shape in words, with a star for any size."""
    return f"[{', '.join('*' if size is None else str(size) for size in shape)}]"


def fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(want in (None, size) for size, want in zip(shape, wanted, strict=True))


def described(given: object) -> str:
    if isinstance(given, np.ndarray):
        return f"{'text' if given.dtype.kind in 'OU' else given.dtype} {list(given.shape)}"
    if isinstance(given, list) and given:
        return f"a list of {type(given[0]).__name__}"
    return f"a {type(given).__name__}"
