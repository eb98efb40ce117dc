"""Tensors as JSON says them: lists in each other, with values of one of ONNX's types."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from inference.given import Array

Shape = Sequence[int | None]

#: Elements of one tensor of a row.
MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Dtype:
    """One of ONNX's types that NumPy has and JSON can say; a number may be from `least` to `most`."""

    onnx: str
    numpy: Any
    types: frozenset[type]
    json: Mapping[str, Any]
    wanted: str
    least: float = 0
    most: float = 0

    @property
    def is_float(self) -> bool:
        return float in self.types

    @property
    def is_number(self) -> bool:
        return self.most > 0

    def allows(self, value: Any) -> bool:
        if type(value) not in self.types:
            return False
        if self.is_number:
            return bool(self.least <= value <= self.most)
        return not isinstance(value, str) or is_text(value)

    def allows_all(self, values: Sequence[Any]) -> bool:
        """The same of many, by what Python does for all of them in one call."""
        if not self.types.issuperset(map(type, values)):
            return False
        if not self.is_number or not values:
            return all(map(self.allows, values))
        # Of a NaN no comparison is true.
        return bool(self.least <= min(values) and max(values) <= self.most) and not any(map(math.isnan, values))


def is_text(value: str) -> bool:
    """Whether it has no lone surrogate, which is no character."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _whole(name: str) -> Dtype:
    least, most = int(np.iinfo(name).min), int(np.iinfo(name).max)
    json = {"type": "integer", "format": name, "minimum": least, "maximum": most}
    return Dtype(name, np.dtype(name), frozenset({int}), json, f"a whole number from {least} to {most}", least, most)


def _float(name: str, onnx: str, most: float) -> Dtype:
    wanted = f"a number from {-most:g} to {most:g}, the range of a {name}"
    return Dtype(onnx, np.dtype(name), frozenset({int, float}), {"type": "number", "format": name}, wanted, -most, most)


#: By their names in model.yaml, which are NumPy's.
DTYPES: Mapping[str, Dtype] = {
    "float16": _float("float16", "float16", 65504.0),
    "float32": _float("float32", "float", float(np.finfo("float32").max)),
    "float64": _float("float64", "double", sys.float_info.max),
    **{f"{sign}int{bits}": _whole(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": Dtype("bool", np.dtype("bool"), frozenset({bool}), {"type": "boolean"}, "true or false"),
    "string": Dtype("string", np.dtype("object"), frozenset({str}), {"type": "string"}, "a text"),
}


class Misfit(ValueError):
    """Says what is wrong with a value, and where in it: `[0][3]`, or nothing for all of it."""

    def __init__(self, place: str, issue: str) -> None:
        super().__init__(issue)
        self.place = place


def check(value: object, dtype: str, shape: Shape) -> None:
    """Raises Misfit where these are not lists in each other of this shape, None for any size, or hold something that
    is not of the type. Axis by axis, by what Python does for all lists of one in one call."""
    level: list[Any] = [value]
    sizes: list[int] = []
    for axis, said in enumerate(shape):
        if set(map(type, level)) - {list}:
            place = next(number for number, inner in enumerate(level) if type(inner) is not list)
            raise Misfit(_place(place, sizes), f"must be a list, {len(shape) - axis} deep")
        size = said if said is not None else len(level[0]) if level else 0
        if set(map(len, level)) - {size}:
            place = next(number for number, inner in enumerate(level) if len(inner) != size)
            raise Misfit(_place(place, sizes), f"must have {size} elements, but has {len(level[place])}")
        level = list(chain.from_iterable(level))
        sizes.append(size)
        if len(level) > MOST:
            raise Misfit("", f"has {len(level)} elements; it may have {MOST}")
    kind = DTYPES[dtype]
    if not kind.allows_all(level):
        place = next(number for number, inner in enumerate(level) if not kind.allows(inner))
        raise Misfit(_place(place, sizes), f"must be {kind.wanted}")


def _place(number: int, sizes: Sequence[int]) -> str:
    """Of the list or the element that is so far behind the first, of lists of these sizes in each other."""
    return "".join(f"[{place}]" for place in np.unravel_index(number, sizes)) if sizes else ""


def array(value: Any, dtype: str, shape: Shape) -> Array:
    """Of what has passed `check`."""
    made = np.array(value, DTYPES[dtype].numpy)
    # Behind an axis of size 0 there is nothing that has a size.
    return made.reshape(made.shape + tuple(size or 0 for size in shape[made.ndim :]))


def sizes(value: Any) -> tuple[int, ...]:
    """The shape of what has passed `check`."""
    found = []
    while isinstance(value, list):
        found.append(len(value))
        value = value[0] if value else None
    return tuple(found)


def changed(value: Any, by: Callable[[Any, int], Any], place: int = 0) -> Any:
    """Each element made another by its value and its place in the innermost list."""
    if isinstance(value, list):
        return [changed(inner, by, number) for number, inner in enumerate(value)]
    return by(value, place)


def json_schema(dtype: str, shape: Shape) -> dict[str, Any]:
    """Of what `check` lets through."""
    found = dict(DTYPES[dtype].json)
    for size in reversed(shape):
        sized = {} if size is None else {"minItems": size, "maxItems": size}
        found = {"type": "array", "items": found, **sized}
    return found


def shown(shape: Shape) -> str:
    """As model.yaml says it."""
    return f"[{', '.join('null' if size is None else str(size) for size in shape)}]"
