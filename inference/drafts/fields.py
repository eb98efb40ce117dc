"""Which kind takes a graph's inputs, and with which fields and options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core import errors
from inference import nodes, tensors
from inference.drafts.convert import Converted
from inference.kinds import image
from inference.kinds.tabular import COLUMNS

#: Of one column: the first of these that it can be.
TYPES = ("number", "integer", "boolean", "string")
#: Of which categories are listed, and what such a column takes that has no list.
LISTED: Mapping[str, str] = {"string": "text", "integer": "whole number"}
#: More categories than these are no list that a person reads.
MOST_LISTED = 20
#: Rows in a run, where nothing speaks against it.
BATCH = 32
#: The side of a picture that the graph leaves open, as most networks for photographs have it.
SIDE = 224
ORDERS = {3: "RGB", 1: "L"}
TEXT: Mapping[str, Any] = {"name": "text", "type": "string", "min_length": 1, "max_length": 1000}
WHOLE = {"int32": (-(2**31), 2**31 - 1)}
SIZE = "What the graph takes; say also fit: crop or pad, unless pictures of another shape are to be stretched"
OPEN = "The graph takes any size: say the one that it was trained with"
ORDER = "Or BGR, if it was trained on what OpenCV reads"
PICTURE = "Put a real picture there, and what it is to be answered: this one is made up, and clients are shown it"
TRAINED = (
    "No graph says how it was trained: scale is what pixels from 0 to 255 are multiplied by, mean what is taken from "
    "that, deviation what it is divided by; as they stand here, pixels are from 0 to 1"
)


@dataclasses.dataclass(frozen=True)
class Taken:
    """What model.yaml says of the inputs; the sentences for a person are by key, and one for each field."""

    kind: str
    fields: list[dict[str, Any]]
    of_fields: list[str]
    max_batch: int
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)


def taken(graph: Path, takes: Sequence[Any], known: Converted) -> Taken:
    """By the kind that a graph with these inputs looks like; raises BundleInvalid where no draft can be written."""
    if not takes:
        raise errors.BundleInvalid(f"{graph} takes nothing: export it with an input for the fields")
    return next(made(graph, takes, known) for looks, made in _LOOKS if looks(takes))


def _has_rows(item: Any) -> bool:
    """Whether its first axis can be the rows'."""
    return bool(item.shape) and (not isinstance(item.shape[0], int) or item.shape[0] == 1)


def _batch(takes: Sequence[Any]) -> int:
    return 1 if any(isinstance(size, int) for item in takes for size in item.shape[:1]) else BATCH


def _looks_tokens(takes: Sequence[Any]) -> bool:
    return any(item.name == "input_ids" for item in takes)


def _looks_image(takes: Sequence[Any]) -> bool:
    item = takes[0]
    axes = _axes(item)
    if len(takes) > 1 or axes is None or nodes.kind(item) not in image.TYPES:
        return False
    sides = [size for axis, size in zip(axes, item.shape, strict=True) if axis in "HW"]
    return all(not isinstance(side, int) or 1 < side <= image.MAX_SIDE for side in sides)


def _axes(item: Any) -> str | None:
    """By where three channels of colours, or one of gray, are; without rows of colours alone, as TorchVision has it."""
    if len(item.shape) == len("CHW") and item.shape[0] == image.CHANNELS["RGB"]:
        return "CHW"
    four = len(item.shape) == len("NCHW") and _has_rows(item)
    return next((axes for axes in image.LAYOUTS if four and item.shape[axes.index("C")] in ORDERS), None)


def _looks_text(takes: Sequence[Any]) -> bool:
    [shape, *others] = [item.shape for item in takes]
    string = nodes.kind(takes[0]) == "string"
    return string and not others and shape[1:] in ([], [1]) and (not shape or _has_rows(takes[0]))


def _looks_tabular(takes: Sequence[Any]) -> bool:
    return all(
        nodes.kind(item) in COLUMNS
        and len(item.shape) in (1, 2)
        and _has_rows(item)
        and all(isinstance(size, int) for size in item.shape[1:])
        for item in takes
    )


def _tokens(_graph: Path, takes: Sequence[Any], _known: Converted) -> Taken:
    return Taken("tokens", [dict(TEXT)], ["The text to read"], _batch(takes))


def _text(_graph: Path, takes: Sequence[Any], _known: Converted) -> Taken:
    notes = {"kind": "One free text a row; where it is a category, write tabular"}
    return Taken("text", [dict(TEXT)], ["Lower-cased and with white space folded"], _batch(takes), notes=notes)


def _image(_graph: Path, takes: Sequence[Any], _known: Converted) -> Taken:
    [item] = takes
    axes = str(_axes(item))
    by_axis = dict(zip(axes, item.shape, strict=True))
    said = [by_axis["H"], by_axis["W"]]
    height, width = [side if isinstance(side, int) else SIDE for side in said]
    count: int = by_axis["C"]
    layout = axes if "N" in axes else f"N{axes}"
    options: dict[str, Any] = {"size": [height, width], "layout": layout, "channels": ORDERS[count]}
    notes = {"golden": PICTURE, "options.size": SIZE if said == [height, width] else OPEN}
    if count > 1:
        notes["options.channels"] = ORDER
    if nodes.kind(item) != "uint8":
        options |= {"scale": 1 / 255, "mean": [0] * count, "deviation": [1] * count}
        notes["options.scale"] = TRAINED
        if count > 1:
            notes |= {"options.mean": "ImageNet's is [0.485, 0.456, 0.406]"}
            notes |= {"options.deviation": "ImageNet's is [0.229, 0.224, 0.225]"}
    most = image.MOST_NUMBERS // (height * width * count)
    field = {"name": "image", "type": "image"}
    return Taken("image", [field], ["Say its description"], min(_batch(takes), most), options, notes)


def _tensor(graph: Path, takes: Sequence[Any], _known: Converted) -> Taken:
    made = []
    for item in takes:
        dtype = dtype_of(item)
        if dtype is None:
            issue = f"which no kind takes: export it with one of {', '.join(tensors.DTYPES)}"
            raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, {issue}")
        shape = sizes(item.shape[1:] if _has_rows(item) else item.shape)
        made.append({"name": item.name, "type": "tensor", "dtype": dtype, "shape": shape})
    batch = _batch(takes) if all(item.shape for item in takes) else 1
    return Taken("tensor", made, ["Say its description; null is for any size"] * len(made), batch)


def dtype_of(item: Any) -> str | None:
    """As model.yaml names the type of an input or output, if it can."""
    return next((name for name, known in tensors.DTYPES.items() if item.type == f"tensor({known.onnx})"), None)


def sizes(shape: Sequence[object]) -> list[int | None]:
    """With None for what is open."""
    return [size if isinstance(size, int) else None for size in shape]


def _tabular(_graph: Path, takes: Sequence[Any], known: Converted) -> Taken:
    found = [made for item in takes for made in _columns(item, known, only=len(takes) == 1)]
    return Taken("tabular", [field for field, _ in found], [note for _, note in found], _batch(takes))


def _columns(item: Any, known: Converted, *, only: bool) -> Iterator[tuple[dict[str, Any], str]]:
    """The fields that one input takes."""
    width = item.shape[1] if len(item.shape) == 2 else 1
    seen = known.seen
    named = only and len(seen.columns) == width
    names = seen.columns if named else [f"f{place}" if only else f"{item.name}_{place}" for place in range(width)]
    if width == 1 and not named:
        names = [item.name]
    kind = nodes.kind(item)
    for place, name in enumerate(names, start=1):
        types = [type_ for type_ in (seen.types.get(name), *TYPES) if type_ in COLUMNS[kind][1]]
        field: dict[str, Any] = {"name": name, "type": types[0]}
        if kind in WHOLE:
            field |= dict(zip(("minimum", "maximum"), WHOLE[kind], strict=True))
        if field["type"] in LISTED and len(seen.categories.get(name, ())) in range(1, MOST_LISTED + 1):
            field["enum"] = list(seen.categories[name])
        if not only and name != item.name:
            field["input"] = item.name
        yield field, _note(item, place, width, field, named=named)


def _note(item: Any, place: int, width: int, field: Mapping[str, Any], *, named: bool) -> str:
    if "enum" in field:
        return f"What it was trained on; without enum it takes any {LISTED[field['type']]}"
    if width > 1 and not named:
        return f"Column {place} of '{item.name}': name it. {of_type(field['type'])}"
    return of_type(field["type"])


def of_type(type_: str) -> str:
    """The sentence beside a field of which no more than its type is known."""
    limits = "Say its minimum and maximum"
    whole = "; integer if it is always whole, boolean if it is yes or no"
    return {"number": f"{limits}{whole}", "integer": limits}.get(type_, "Say its description")


_Looks = Callable[[Sequence[Any]], bool]
_Made = Callable[[Path, Sequence[Any], Converted], Taken]
#: The first that a graph with at least one input looks like.
_LOOKS: Sequence[tuple[_Looks, _Made]] = (
    (_looks_tokens, _tokens),
    (_looks_image, _image),
    (_looks_text, _text),
    (_looks_tabular, _tabular),
    (bool, _tensor),
)
