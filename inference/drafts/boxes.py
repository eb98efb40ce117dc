"""Whether what a graph gave to a picture are the boxes of a detector, by their types and shapes."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inference.drafts.answers import Answer
from inference.given import ROUNDED, Array

#: In the name of an output of floats that are classes, and of the one that says how many boxes there are.
CLASSES, COUNT = ("class", "label"), ("num", "count")
#: More classes than these are numbers of something else.
MOST_CLASSES = 100_000
#: What TensorFlow's detectors call their boxes, and how they give them.
TENSORFLOW = "detection_boxes"
TENSORFLOWS: Mapping[str, Any] = {"format": "yxyx", "units": "fractions", "first_class": 1}
NOTE = (
    "Name all classes, in their order, TorchVision's from __background__ on; and say format and units, where boxes are "
    "not left, top, right and bottom in pixels"
)
#: Beside tensors that are given to a picture.
RAW = "Of a detector, export it with non-maximum suppression (Ultralytics: nms=True), and say boxes"

#: What the answer says beside its labels, and how many of them there are, as far as was seen.
Found = tuple[dict[str, Any], int]


def boxes(outputs: Sequence[Any], given: Sequence[Any], labels: Sequence[str]) -> Answer | None:
    """The key of model.yaml that says so, and the sentence beside it; `labels` are those that the graph knows."""
    named = {item.name: np.asarray(value) for item, value in zip(outputs, given, strict=True)}
    found = _columns(*named.values()) if len(named) == 1 else _beside(named)
    if found is None:
        return None
    says, count = found
    names = labels if len(labels) >= count else [f"label_{place}" for place in range(count)]
    corners = named[says.get("boxes", outputs[0].name)]
    if (corners[..., 2:4] < corners[..., :2]).any():
        says["format"] = "cxcywh"
    return {"boxes": {"labels": [*names], **says}}, NOTE


def have_rows(outputs: Sequence[Any], given: Sequence[Any], says: Mapping[str, Any]) -> bool:
    """Whether boxes that model.yaml says so have an axis for rows."""
    names = [item.name for item in outputs]
    return bool(np.ndim(given[names.index(says.get("boxes", names[0]))]) > len(("boxes", "columns")))


def labels(about: str) -> list[str]:
    """The names of classes, as Ultralytics writes them into a graph: {0: 'cat', 1: 'dog'}. None of what is else."""
    try:
        found = ast.literal_eval(about)
    except (ValueError, SyntaxError):
        return []
    known = isinstance(found, dict) and found.keys() == {*range(len(found))}
    return [str(found[place]) for place in range(len(found))] if known else []


def _columns(value: Array) -> Found | None:
    """Box, score and class. Six numbers that are the answer to a row are none."""
    if not _listed(value, 6) or value.shape == (1, 6) or not _are_scores(value[..., 4]):
        return None
    count = _classes(value[..., 5])
    return ({}, count) if count else None


def _beside(named: Mapping[str, Array]) -> Found | None:
    """The first corners that others belong to."""
    for name, corners in named.items():
        if _listed(corners, 4):
            others = {other: value for other, value in named.items() if other != name}
            if found := _selected(corners, others) or _apart(corners, others):
                says, count = found
                return {"boxes": name, **says, **(TENSORFLOWS if name == TENSORFLOW else {})}, count
    return None


def _selected(corners: Array, others: Mapping[str, Array]) -> Found | None:
    """The scores of all classes, and what ONNX's NonMaxSuppression selected of them."""
    for name, value in others.items():
        if value.dtype.kind in "iu" and value.ndim == 2 and value.shape[1] == 3:
            for scores, sure in others.items():
                fits = sure.ndim == corners.ndim and sure.shape[-1] == corners.shape[-2]
                if fits and _are_scores(sure):
                    return {"scores": scores, "selected": name}, sure.shape[-2]
    return None


def _apart(corners: Array, others: Mapping[str, Array]) -> Found | None:
    """A score and a class for each."""
    fitting = {name: value for name, value in others.items() if value.shape == corners.shape[:-1]}
    for name, value in fitting.items():
        if (value.dtype.kind in "iu" or _called(name, CLASSES)) and (count := _classes(value)):
            for scores, sure in fitting.items():
                if scores != name and _are_scores(sure):
                    counts = [each for each, size in others.items() if size.size == 1 and _called(each, COUNT)]
                    return {"scores": scores, "classes": name, **({"count": counts[0]} if counts else {})}, count
    return None


def _listed(value: Array, columns: int) -> bool:
    """Whether it is a list of so many floats each, of one row."""
    one = value.ndim == 2 or (value.ndim == 3 and len(value) == 1)
    return one and value.dtype.kind == "f" and value.shape[-1] == columns


def _are_scores(value: Array) -> bool:
    """What fills up may have less than 0."""
    return value.dtype.kind == "f" and bool(((value >= -1) & (value < 1 + ROUNDED)).all())


def _classes(value: Array) -> int:
    """How many there are at least; none, if these are no classes."""
    whole = value.dtype.kind in "fiu" and bool((value == np.round(value)).all() and (value < MOST_CLASSES).all())
    return int(value.max(initial=0)) + 1 if whole else 0


def _called(name: str, words: Sequence[str]) -> bool:
    return any(word in name.lower() for word in words)
