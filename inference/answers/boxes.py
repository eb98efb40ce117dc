"""Boxes around what was found, as detectors give them after non-maximum suppression."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from core import errors
from inference import given, keys, nodes
from inference.answers.answer import Answer
from inference.answers.labels import TOLERANCE
from inference.answers.single import rounded
from inference.faults import Fault
from inference.given import Array, Floats
from inference.keys import Key
from inference.manifest import Boxes as Says
from inference.manifest import Golden, Manifest
from inference.output import Boxes as Found
from inference.output import Said
from inference.pictures import Picture

#: Boxes of an answer: the surest.
MOST = 1000
#: The corners of a golden box may be this part of its longer side apart between machines and providers.
APART = 0.02
#: What the four numbers of a box are, as left, top, right and bottom.
FORMATS: Mapping[str, Callable[..., Sequence[Floats]]] = {
    "xyxy": lambda left, top, right, bottom: (left, top, right, bottom),
    "yxyx": lambda top, left, bottom, right: (left, top, right, bottom),
    "xywh": lambda left, top, width, height: (left, top, left + width, top + height),
    "cxcywh": lambda x, y, width, height: (x - width / 2, y - height / 2, x + width / 2, y + height / 2),
}
UNITS = ("pixels", "fractions")
#: How many that are not wanted are shown.
SHOWN = 3
#: What to do about a network's last layer.
RAW = "; raw boxes need non-maximum suppression first: export it with that, as Ultralytics' nms=True does"
_BOXES = {
    "labels": keys.listed(keys.text(), least=1, required=True),
    "boxes": keys.text(allow_none=True),
    "scores": keys.text(allow_none=True),
    "classes": keys.text(allow_none=True),
    "selected": keys.text(allow_none=True),
    "count": keys.text(allow_none=True),
    "format": keys.one_of(*FORMATS),
    "units": keys.one_of(*UNITS),
    "first_class": keys.whole(0, 1),
    "at_least": keys.number(0, 1),
}
_GOLDEN = {
    "label": keys.text(required=True),
    "confidence": keys.number(0, 1, required=True),
    "box": keys.listed(keys.number(), least=4, required=True),
}


class Boxes(Answer):
    """Floats [rows, boxes, 4] with scores and classes [rows, boxes] from outputs of their own, or [rows, boxes, 6] with
    them in the last two columns; all without rows where a row has a run of its own. In place of classes, beside scores
    [rows, classes, boxes], whole numbers [selected, 3] may say the row, class and box of each. An answer has those of
    at least `at_least`. A golden example says all of these, in any order."""

    key = "boxes"
    own_keys: ClassVar[Mapping[str, Key]] = {"boxes": keys.mapping(_BOXES)}
    golden_keys: ClassVar[Mapping[str, Key]] = {"boxes": keys.listed(keys.mapping(_GOLDEN), required=True)}
    said_as = Found

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest)
        self._says = _says(manifest)
        self._width = 6 if self._says.scores is None else 4
        self.outputs = self._outputs("predict")

    def _outputs(self, first: str) -> list[str]:
        says = self._says
        others = (says.scores, says.classes, says.count, says.selected)
        return [says.boxes or first, *(name for name in others if name is not None)]

    def choose(self, graph: Path, gives: Sequence[Any]) -> None:
        known = {item.name: item for item in gives}
        if self._says.boxes is None and len(gives) > 1:
            issue = "say boxes: NAME within boxes, and scores and classes where they are outputs of their own"
            raise errors.BundleInvalid(f"{graph} gives {nodes.every(gives)}: {issue}")
        self.outputs = self._outputs(gives[0].name)
        for name in self.outputs:
            if name not in known:
                issue = f"has no output '{name}', as boxes of model.yaml says, but {nodes.every(gives)}"
                raise errors.BundleInvalid(f"{graph} {issue}")
        item, shared = known[self.outputs[0]], self.manifest.shares_runs
        shapes = [(None, None, self._width), *([] if shared else [(None, self._width)])]
        if item.type not in nodes.FLOATS or (item.shape and not any(nodes.agree(item.shape, one) for one in shapes)):
            fix = "; of one row at a time say max_batch: 1" if shared and len(item.shape) == 2 else ""
            must = "score and class in their columns" if self._width == 6 else "scores and classes beside them"
            fix = RAW if self._width == 6 and len(item.shape) == 3 else fix
            wanted = f"floats [rows, boxes, {self._width}], with {must}"
            raise errors.BundleInvalid(f"{graph} gives {nodes.one(item)}, but must give {wanted}{fix}")

    def read(self, values: Sequence[Any], count: int) -> list[Array]:
        made = [np.asarray(value) for value in values]
        selected = None if self._says.selected is None else self._checked(made.pop(), count)
        if made[0].ndim == 2 and not self.manifest.shares_runs:
            made = [value[np.newaxis] for value in made]
        for name, value in zip(self.outputs, made, strict=False):
            if value.shape[:1] != (count,):
                issue = f"gave '{name}' as {given.described(value)}, but must give it for {count} rows"
                raise errors.ModelError(f"{self.manifest.name} {issue}")
        found = np.empty(count, dtype=object)
        for place, (boxes, *others) in enumerate(zip(*made, strict=True)):
            if selected is None:
                found[place] = self._row(boxes, *others)
            else:
                found[place] = self._row(*self._picked(boxes, others[0], selected[selected[:, 0] == place]))
        return [found]

    def _checked(self, selected: Array, count: int) -> Array:
        """The row, class and box of each box that was selected, of so many rows; raises ModelError."""
        model, name = self.manifest.name, self._says.selected
        if selected.dtype.kind not in "iu" or not given.fits(selected.shape, (None, 3)):
            issue = f"gave '{name}' as {given.described(selected)}, but must give whole numbers [selected, 3]"
            raise errors.ModelError(f"{model} {issue}: row, class and box")
        self._within("row", selected[:, 0], count)
        return selected

    def _within(self, what: str, places: Array, count: int) -> None:
        """Raises ModelError."""
        if (beyond := places[(places < 0) | (places >= count)]).size:
            issue = f"gave '{self._says.selected}' with {what} {beyond[0]}, but there are 0 to {count - 1}"
            raise errors.ModelError(f"{self.manifest.name} {issue}")

    def _picked(self, boxes: Array, scores: Array, selected: Array) -> tuple[Array, Array, Array]:
        """What was selected of one row's boxes, with its scores and classes; raises ModelError."""
        if scores.ndim != 2 or scores.shape[1:] != boxes.shape[:1]:
            issue = f"gave '{self._says.scores}' as {given.described(scores)} for boxes {list(boxes.shape)} of a row"
            raise errors.ModelError(f"{self.manifest.name} {issue}, but must give floats [classes, boxes]")
        _, classes, places = selected.T
        self._within("class", classes, len(scores))
        self._within("box", places, len(boxes))
        return boxes[places], scores[classes, places], classes

    def gathered(self, rows: Sequence[Any]) -> list[Array]:
        """An array [boxes, 6] for each row, or a mapping with what the names of `boxes` in model.yaml say."""
        found = [np.empty(len(rows), dtype=object) for _ in self.outputs]
        named = self._says.boxes is not None
        for place, row in enumerate(rows):
            try:
                values = [np.asarray(row[name]) for name in self.outputs] if named else [np.asarray(row)]
            except (TypeError, KeyError, IndexError, ValueError) as error:
                names = f"a mapping with {', '.join(self.outputs)}" if named else f"numbers [boxes, {self._width}]"
                raise errors.ModelError(f"{self.manifest.name} must give {names} for each row") from error
            if values[0].size == 0:
                values[0] = np.empty((0, self._width))
            for one, value in zip(found, values, strict=True):
                one[place] = value.astype(float) if value.dtype.kind in "iu" else value
        return found

    def _row(self, boxes: Array, *others: Array) -> list[dict[str, Any]]:
        """The boxes of one row that are likely enough, the surest first, as the graph sees them; raises ModelError."""
        model, says, [name, *names] = self.manifest.name, self._says, self.outputs
        if boxes.dtype.kind != "f" or not given.fits(boxes.shape, (None, self._width)):
            issue = f"gave '{name}' as {given.described(boxes)} for a row"
            fix = RAW if self._width == 6 and boxes.ndim == 2 else ""
            raise errors.ModelError(f"{model} {issue}, but must give floats [boxes, {self._width}]{fix}")
        if says.scores is None:
            names, others = [name, name, *names], (boxes[:, 4], boxes[:, 5], *others)
        there = len(boxes) if says.count is None else self._count(names[2], others[2], len(boxes))
        scores = np.round(given.floats(model, names[0], others[0], len(boxes))[:there].astype(float), 6)
        likely = np.flatnonzero(scores >= says.at_least)
        best = likely[np.argsort(-scores[likely], kind="stable")][:MOST]
        sure = given.probabilities(model, names[0], scores[best], len(best))
        labels = self._labels(names[1], others[1], len(boxes), best)
        with np.errstate(over="ignore", invalid="ignore"):
            corners = np.stack(FORMATS[says.format](*boxes[best, :4].astype(float).T), axis=1).astype(np.float32)
        found = zip(labels, sure.tolist(), given.floats(model, name, corners, None, 4).tolist(), strict=True)
        return [{"label": label, "confidence": score, "box": box} for label, score, box in found]

    def _count(self, name: str, value: Array, most: int) -> int:
        """Raises ModelError."""
        if value.size != 1 or value.dtype.kind not in "iuf" or not 0 <= value.item() <= most:
            gave = value.item() if value.size == 1 else given.described(value)
            issue = f"gave '{name}' as {gave}, but must give how many of {most} boxes there are"
            raise errors.ModelError(f"{self.manifest.name} {issue}")
        return int(value.item())

    def _labels(self, name: str, classes: Array, count: int, best: Array) -> list[str]:
        """Of the best ones of so many boxes; raises ModelError."""
        model, labels, first = self.manifest.name, self._says.labels, self._says.first_class
        if classes.dtype.kind not in "iuf" or classes.shape != (count,):
            issue = f"gave '{name}' as {given.described(classes)} for a row, but must give a class for each box"
            raise errors.ModelError(f"{model} {issue}, [{count}]")
        places = [class_ - first for class_ in classes[best].tolist()]
        for place in places:
            if place not in range(len(labels)):
                issue = f"gave '{name}' with class {place + first:g}, but the classes of its labels are {first} to"
                raise errors.ModelError(f"{model} {issue} {first + len(labels) - 1}")
        return [labels[int(place)] for place in places]

    def said(self, rows: Sequence[Mapping[str, Any]], runs: Sequence[Sequence[Array]]) -> list[Said]:
        found = [boxes for [run] in runs for boxes in run]
        return [Found(self._told(row, boxes)) for row, boxes in zip(rows, found, strict=True)]

    def _told(self, row: Mapping[str, Any], boxes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Of a picture in its own pixels, whatever the graph was shown of it."""
        corners = np.array([each["box"] for each in boxes], float).reshape(-1, 4)
        for picture in row.values():
            if isinstance(picture, Picture):
                size = [picture.form.width, picture.form.height] * 2 if self._says.units == "fractions" else 1
                corners = picture.own(corners * size)
        told = rounded(corners.astype(np.float32))
        return [{**each, "box": box} for each, box in zip(boxes, told, strict=True)]

    @classmethod
    def broken(cls, manifest: Manifest) -> Iterator[Fault]:
        says = _says(manifest)
        if says.selected and (says.classes or says.count):
            other = "classes" if says.classes else "count"
            yield Fault(("boxes", other), "goes without selected, which says which boxes there are, and of which class")
        if (says.scores is None) != (says.classes is None and says.selected is None):
            missing = "scores" if says.scores is None else "classes"
            yield Fault(("boxes", missing), "is missing: scores and classes go together, or are columns of the boxes")
        if says.boxes is None and (says.scores or says.classes or says.selected or says.count):
            yield Fault(("boxes", "boxes"), "is missing: the output that holds the boxes themselves")
        if manifest.output is not None:
            yield Fault(("output",), "is not for boxes: say boxes: NAME within boxes")

    @classmethod
    def broken_golden(cls, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        says = _says(manifest)
        for place, box in enumerate(golden.answer["boxes"]):
            if box["label"] not in says.labels:
                yield Fault(("boxes", place, "label"), f"must be one of {', '.join(dict.fromkeys(says.labels))}")
            if box["confidence"] < says.at_least:
                yield Fault(("boxes", place, "confidence"), f"must be a number from {says.at_least:g} to 1")
            if len(box["box"]) > 4:
                yield Fault(("boxes", place, "box"), "must be four numbers: left, top, right and bottom")

    @classmethod
    def golden(cls, found: Found) -> dict[str, Any]:
        return {"boxes": [dict(box) for box in found.boxes]}

    @classmethod
    def missed(cls, golden: Golden, found: Found) -> str | None:
        left = [*found.boxes]
        for wanted in golden.answer["boxes"]:
            match = next((box for box in left if _same(wanted, box)), None)
            if match is None:
                others = ", ".join(map(_shown, left[:SHOWN])) or "no other box"
                return f"must give {_shown(wanted)}, but gives {others}"
            left.remove(match)
        return f"must not give {_shown(left[0])}, but gives it" if left else None

    @classmethod
    def json_schema(cls, manifest: Manifest) -> dict[str, Any]:
        says = _says(manifest)
        of = any(field.type == "image" for field in manifest.fields)
        units = "pixels of the picture that was handed in, upright" if of else says.units
        corners = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
        each = {
            "type": "object",
            "properties": {
                "label": {"type": "string", "enum": [*dict.fromkeys(says.labels)]},
                "confidence": {"type": "number", "minimum": says.at_least, "maximum": 1},
                "box": {**corners, "description": f"Left, top, right and bottom, in {units}"},
            },
            "required": ["label", "confidence", "box"],
        }
        boxes = {"type": "array", "items": each, "maxItems": MOST}
        return {"type": "object", "properties": {"boxes": boxes}, "required": ["boxes"]}


def _says(manifest: Manifest) -> Says:
    return cast("Says", manifest.boxes)


def _same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    left, top, right, bottom = wanted["box"]
    most = APART * max(right - left, bottom - top)
    near = all(abs(one - other) <= most for one, other in zip(wanted["box"], found["box"], strict=True))
    return near and wanted["label"] == found["label"] and abs(wanted["confidence"] - found["confidence"]) <= TOLERANCE


def _shown(box: Mapping[str, Any]) -> str:
    return f"{box['label']} {box['confidence']} in {box['box']}"
