"""What is answered, by what was given to one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import errors
from inference import nodes
from inference.answers import embedding
from inference.drafts import fields
from inference.given import ROUNDED, Array

#: From so many on, numbers without labels are a vector.
VECTOR = 16
#: So far the scores of all labels may be from 1 together.
ABOUT = 0.01
#: In the name of an output of one float, which may be the probability of the second of two labels.
PROBABLE = ("prob", "sigmoid", "softmax")
NAME_THEM = "Name them, in the order of the graph's scores"
TEXT = "If it is a label, give the probabilities of all labels in its place"
TENSORS = "Just as the graph gives them, null for any size; leave out what nobody needs"

Answer = tuple[dict[str, Any], str]


def answer(
    graph: Path,
    outputs: Sequence[Any],
    given: Sequence[Any],
    labels: Sequence[str] | None,
    *,
    whole: bool,
    any_size: bool,
) -> Answer:
    """The keys of model.yaml that say it, and the sentence beside them; raises BundleInvalid where no output can be an
    answer. `labels` are those that the model was trained with, if that is known, and None where it has none; `whole` is
    whether an output that nothing but a tensor fits is meant as well, `any_size` whether rows may have what the graph
    leaves open."""
    pairs = list(zip(outputs, given, strict=True))
    found = [
        (item, keys)
        for item, value in pairs
        if (keys := _keys(item, value, labels)) and not (any_size and _varies(item, value))
    ]
    labelled = [each for each in found if "labels" in each[1][0]]
    deep = whole and any(getattr(value, "ndim", 0) > 2 for value in given)
    if labelled or (found and not deep):
        # The class, as a text, stands beside its scores.
        item, (says, note) = (labelled or sorted(found, key=lambda each: "text" in each[1][0]))[0]
        return ({**says, "output": item.name} if len(outputs) > 1 else says), note
    made = [_tensor(item, value) for item, value in pairs if fields.dtype_of(item)]
    if not made:
        raise errors.BundleInvalid(f"{graph} gives {nodes.every(outputs)}, none of which can be an answer")
    return {"tensors": made}, TENSORS


def has_rows(item: Any, value: Array) -> bool:
    """Whether the first axis of what was given to one row is the rows'."""
    return value.shape[:1] == (1,) and not (isinstance(next(iter(item.shape), None), int) and item.shape[0] != 1)


def _varies(item: Any, value: Any) -> bool:
    """Whether the graph says another size than was given, or none."""
    return list(item.shape[1:]) != list(np.shape(value)[1:]) or not item.shape


def _keys(item: Any, value: Any, labels: Sequence[str] | None) -> Answer | None:
    if nodes.MAPS in item.type:
        return {"labels": [str(name) for name in value[0]]}, "As the graph names them; other names go by their order"
    if not isinstance(value, np.ndarray) or value.ndim not in (1, 2) or len(value) != 1 or not value.size:
        return None
    if nodes.kind(item) == "string" and value.size == 1:
        return {"text": True}, TEXT
    if item.type not in nodes.FLOATS:
        return None
    return scores(item.name, value.reshape(-1).astype(float), labels)


def scores(name: str, found: Array, labels: Sequence[str] | None) -> Answer | None:
    """The same of finite numbers, at least one, under this name."""
    count = len(found)
    probable = bool((found > -ROUNDED).all() and (found < 1 + ROUNDED).all())
    if probable and labels is not None:
        if count == len(labels) > 1 or (count == 1 and len(labels) == 2):
            return {"labels": list(labels)}, "As it was trained; rename them if you like, and keep the order"
        if count > 1 and abs(found.sum() - 1) < ABOUT:
            return {"labels": _numbered(count)}, NAME_THEM
        if count == 1 and any(word in name.lower() for word in PROBABLE):
            return {"labels": _numbered(2)}, "Name them; what the graph gives is the probability of the second"
    if count > embedding.MOST:
        return None
    tags = "; if each is a probability by itself, say tags in their place" if probable else ""
    if count >= VECTOR:
        return {"embedding": count}, f"How long the vector is; if these are scores, say labels in its place{tags}"
    names = [name] if count == 1 else [f"{name}_{place}" for place in range(count)]
    return {"numbers": [{"name": name} for name in names]}, f"Name each, and its unit: {{name: price, unit: CHF}}{tags}"


def _numbered(count: int) -> list[str]:
    return [f"label_{place}" for place in range(count)]


def _tensor(item: Any, value: Array) -> Mapping[str, Any]:
    said = item.shape if len(item.shape) == value.ndim else [None] * value.ndim
    shape = [size if size == real else None for size, real in zip(fields.sizes(said), value.shape, strict=True)]
    return {"name": item.name, "dtype": fields.dtype_of(item), "shape": shape[1:] if has_rows(item, value) else shape}
