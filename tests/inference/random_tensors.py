"""ONNX models made at random on tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper

from inference import tensors
from tests.inference.random_models import TYPES, WORDS, Array, Draw, Made, Parts, Row


def tensor_cell(draw: Draw, dtype: tensors.Dtype) -> Any:
    if dtype.onnx == "string":
        return draw.choice(WORDS)
    if dtype.onnx == "bool":
        return draw.random() < 0.5
    if dtype.onnx in ("float", "double", "float16"):
        return round(draw.uniform(-3, 3), 3)
    return draw.randint(int(max(dtype.least, -(2**62))), int(min(dtype.most, 2**62)))


def filled(draw: Draw, dtype: tensors.Dtype, sizes: Sequence[int]) -> Any:
    return [filled(draw, dtype, sizes[1:]) for _ in range(sizes[0])] if sizes else tensor_cell(draw, dtype)


def of_tensors(draw: Draw) -> Made:
    """A tensor as it is, or with its last two axes in each other's place, with an axis for rows or without."""
    parts, dtype = Parts(draw), draw.choice(list(tensors.DTYPES))
    known, into, out, shared = tensors.DTYPES[dtype], parts.name(), parts.name(), draw.random() < 0.7
    shape = [draw.choice((None, 1, 2, 3)) for _ in range(draw.randint(0 if shared else 1, 3))]
    rows = [{"value": filled(draw, known, [draw.randint(0, 3) if s is None else s for s in shape])} for _ in range(5)]
    lead: list[Any] = [draw.choice(("N", None))] if shared else []
    turned = len(shape) > 1 and draw.random() < 0.5
    order = list(range(len(lead) + len(shape)))
    if turned:
        order[-2:] = order[:-3:-1]
    gives = [([*lead, *shape])[place] for place in order]
    parts.takes.append(helper.make_tensor_value_info(into, TYPES[known.onnx], [*lead, *shape]))
    parts.gives.append(helper.make_tensor_value_info(out, TYPES[known.onnx], gives))
    parts.node("Transpose", into, made=out, perm=order) if turned else parts.node("Identity", into, made=out)
    broken = draw.choice(("a type", "a size", "no rows")) if draw.random() < 0.2 else ""
    told = [*shape]
    if broken == "no rows" and shared:
        broken = ""
    if broken == "a size":
        told = [*shape, 4]
        rows = [{"value": filled(draw, known, [1 if s is None else s for s in told])} for _ in range(5)]
    other = draw.choice([name for name in tensors.DTYPES if name != dtype]) if broken == "a type" else dtype
    if broken == "a type":
        rows = [{"value": filled(draw, tensors.DTYPES[other], [1 if s is None else s for s in told])} for _ in range(5)]
    says = {
        "kind": "tensor", "max_batch": 32 if shared or broken == "no rows" else 1,
        "fields": [{"name": "value", "type": "tensor", "dtype": other, "shape": told}],
        "tensors": [{"name": "same", "dtype": dtype, "shape": gives[len(lead) :]}],
    }  # fmt: skip

    def fed(given: Sequence[Row]) -> dict[str, Array]:
        made = [np.array(row["value"], known.numpy) for row in given]
        made = [one.reshape(one.shape + tuple(size or 0 for size in shape[one.ndim :])) for one in made]
        return {into: np.stack(made) if shared else made[0]}

    return Made(parts.bytes(), says, rows, fed, out, broken, shared, runs=broken not in ("a size", "a type"))
