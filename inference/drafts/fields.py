"""Which kind takes a graph's inputs, and with which fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core import errors
from inference import kinds, nodes
from inference.drafts.convert import Converted
from inference.kinds.tabular import COLUMNS

#: Of one column: the first of these that it can be.
TYPES = ("number", "integer", "boolean", "string")
#: More categories than these are no list that a person reads.
MOST_LISTED = 20
PIXELS = ("float", "float16", "uint8")
CHANNELS = (1, 3, 4)
TEXT: Mapping[str, Any] = {"name": "text", "type": "string", "min_length": 1, "max_length": 1000}
WHOLE = {"int32": (-(2**31), 2**31 - 1)}


def _tokens(takes: Sequence[Any]) -> bool:
    return any(item.name == "input_ids" for item in takes)


def _image(takes: Sequence[Any]) -> bool:
    [shape, *others] = [item.shape for item in takes]
    return (
        not others and len(shape) == 4 and nodes.kind(takes[0]) in PIXELS and bool({shape[1], shape[3]} & {*CHANNELS})
    )


def _text(takes: Sequence[Any]) -> bool:
    return len(takes) == 1 and nodes.kind(takes[0]) == "string" and takes[0].shape[1:] in ([], [1])


def _tabular(takes: Sequence[Any]) -> bool:
    return all(nodes.kind(item) in COLUMNS and len(item.shape) in (1, 2) for item in takes)


#: The first that a graph with at least one input looks like.
_LOOKS: Mapping[str, Callable[[Sequence[Any]], bool]] = {
    "tokens": _tokens,
    "image": _image,
    "text": _text,
    "tabular": _tabular,
    "tensor": bool,
}
#: Those that a draft can be written for.
DRAWN = ("tabular", "text", "tokens")


def kind_of(graph: Path, takes: Sequence[Any]) -> str:
    """The kind that a graph with these inputs looks like; raises BundleInvalid where no draft can be written."""
    if not takes:
        raise errors.BundleInvalid(f"{graph} takes nothing: export it with an input for the fields")
    found = next(name for name, looks in _LOOKS.items() if looks(takes))
    if found in DRAWN:
        return found
    if found in kinds.names():
        fix = f"which is of kind {found}: docs/models.md says what its model.yaml holds, and it is written by hand"
    else:
        fix = f"which no kind fits; there are: {', '.join(kinds.names())}"
    raise errors.BundleInvalid(f"{graph} takes {nodes.every(takes)}, {fix}")


def fields_of(graph: Path, kind: str, takes: Sequence[Any], known: Converted) -> tuple[list[dict[str, Any]], list[str]]:
    """The fields as model.yaml has them, and a sentence for each; raises BundleInvalid."""
    if kind != "tabular":
        return [dict(TEXT)], ["Lower-cased and with white space folded" if kind == "text" else "The text to read"]
    found = [made for item in takes for made in _columns(graph, item, known, only=len(takes) == 1)]
    return [field for field, _ in found], [note for _, note in found]


def _columns(graph: Path, item: Any, known: Converted, *, only: bool) -> Iterator[tuple[dict[str, Any], str]]:
    """The fields that one input takes."""
    width = item.shape[1] if len(item.shape) == 2 else 1
    if not isinstance(width, int):
        issue = "and how many columns that is cannot be seen: export it with a fixed second axis"
        raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, {issue}")
    named = only and len(known.columns) == width
    names = known.columns if named else [f"f{place}" if only else f"{item.name}_{place}" for place in range(width)]
    if width == 1 and not named:
        names = [item.name]
    kind = nodes.kind(item)
    for place, name in enumerate(names, start=1):
        field: dict[str, Any] = {"name": name, "type": next(type_ for type_ in TYPES if type_ in COLUMNS[kind][1])}
        if kind in WHOLE:
            field |= dict(zip(("minimum", "maximum"), WHOLE[kind], strict=True))
        if name in known.categories and field["type"] == "string" and len(known.categories[name]) <= MOST_LISTED:
            field["enum"] = list(known.categories[name])
        if not only and name != item.name:
            field["input"] = item.name
        yield field, _note(item, place, width, field, named=named)


def _note(item: Any, place: int, width: int, field: Mapping[str, Any], *, named: bool) -> str:
    if "enum" in field:
        return "What it was trained on; without enum it takes any text"
    if width > 1 and not named:
        return f"Column {place} of '{item.name}': name it, and say its minimum and maximum"
    if field["type"] in ("number", "integer"):
        whole = "; integer if it is always whole" if field["type"] == "number" else ""
        return f"Say its minimum and maximum{whole}"
    return "Say its description"
