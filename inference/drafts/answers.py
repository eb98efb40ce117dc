"""What a graph answers, by what it gave to one row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import errors
from inference import nodes
from inference.given import ROUNDED

#: From so many on, numbers without labels are a vector.
VECTOR = 16
#: So far the scores of all labels may be from 1 together.
ABOUT = 0.01
#: In the name of an output of one float, which may be the probability of the second of two labels.
PROBABLE = ("prob", "sigmoid", "softmax")

Answer = tuple[dict[str, Any], str]


def answer(graph: Path, outputs: Sequence[Any], given: Sequence[Any], labels: Sequence[str]) -> Answer:
    """The keys of model.yaml that say it, and the sentence beside them; raises BundleInvalid where no output can be an
    answer. `labels` are those that the model was trained with, if that is known."""
    found = [(item, keys) for item, value in zip(outputs, given, strict=True) if (keys := _keys(item, value, labels))]
    if not found:
        issue = "none of which is floats [rows, n], as labels, numbers and an embedding are: pool or flatten it"
        raise errors.BundleInvalid(f"{graph} gives {nodes.every(outputs)}, {issue}")
    item, (says, note) = min(found, key=lambda each: "labels" not in each[1][0])
    return ({**says, "output": item.name} if len(outputs) > 1 else says), note


def _keys(item: Any, value: Any, labels: Sequence[str]) -> Answer | None:
    if nodes.MAPS in item.type:
        return {"labels": [str(name) for name in value[0]]}, "As the graph names them; other names go by their order"
    if item.type not in nodes.FLOATS or value.ndim not in (1, 2) or len(value) != 1 or not value.size:
        return None
    scores = value.reshape(-1).astype(float)
    if bool((scores > -ROUNDED).all() and (scores < 1 + ROUNDED).all()):
        if len(scores) == len(labels) > 1 or (len(scores) == 1 and len(labels) == 2):
            return {"labels": list(labels)}, "As it was trained; rename them if you like, and keep the order"
        if len(scores) > 1 and abs(scores.sum() - 1) < ABOUT:
            return {"labels": _numbered(len(scores))}, "Name them, in the order of the graph's scores"
        if len(scores) == 1 and any(word in item.name.lower() for word in PROBABLE):
            return {"labels": _numbered(2)}, "Name them; what the graph gives is the probability of the second"
    return _numbers(item, len(scores))


def _numbers(item: Any, width: int) -> Answer:
    if width >= VECTOR:
        return {"embedding": width}, "How long the vector is; if these are scores, say labels in its place"
    names = [item.name] if width == 1 else [f"{item.name}_{place}" for place in range(width)]
    note = "Name each, and say its unit, as in {name: price, unit: CHF}"
    return {"numbers": [{"name": name} for name in names]}, note


def _numbered(count: int) -> list[str]:
    return [f"label_{place}" for place in range(count)]
