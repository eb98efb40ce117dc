"""A graph's inputs and outputs in words, and whether their types and shapes agree with what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: In the type of what is a map for each row.
MAPS = "map("
#: NumPy's names of types as ONNX has them.
TYPES = {"float32": "float", "float64": "double", "object": "string"}
FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")


def agree(shape: Sequence[object], other: Sequence[int | None]) -> bool:
    """Sizes that a graph leaves open have a name or none."""
    return len(shape) == len(other) and all(
        size == mine or mine is None or not isinstance(size, int) for size, mine in zip(shape, other, strict=True)
    )


def is_number(item: Any) -> bool:
    """Whether it is one float a row."""
    return item.type in FLOATS and item.shape[1:] in ([], [1]) and bool(item.shape)


def every(items: Sequence[Any]) -> str:
    return ", ".join(map(one, items)) or "nothing"


def one(item: Any) -> str:
    if not item.type.startswith("tensor("):
        return f"'{item.name}' ({'a list of maps' if MAPS in item.type else item.type})"
    return f"'{item.name}' ({kind(item)} {shape(item.shape)})"


def kind(item: Any) -> str:
    """The type of its elements, as ONNX names it."""
    return str(item.type).removeprefix("tensor(").removesuffix(")")


def shape(sizes: Sequence[object]) -> str:
    return f"[{', '.join(str(size) if isinstance(size, int) or size == 'rows' else '*' for size in sizes)}]"


def type_of(value: np.ndarray[Any, Any]) -> str:
    """The same of an array."""
    return TYPES.get(str(value.dtype), str(value.dtype))
