"""An object of named values: what a model in Python may answer, and no graph does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from core import errors
from inference import keys, nodes
from inference.answers.answer import Answer, near
from inference.faults import Fault
from inference.given import Array
from inference.keys import Key
from inference.manifest import Golden, Manifest
from inference.output import Object, Said
from inference.plain import NotPlain, plain

#: Numbers of a golden record may differ by this much of their size, and small ones by this much.
TOLERANCE = 0.001
#: The largest answer to a row, in bytes of JSON.
MOST_BYTES = 1 << 20
#: JSON Schema's types, as Python has them. A boolean is no number.
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "number": (int, float), "integer": (int,), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip


class Records(Answer):
    """What a class in Python gives for a row: a mapping with just the names that `record` of model.yaml has, each with
    its JSON Schema. A golden example says the values of some or all of them."""

    key = "record"
    own_keys: ClassVar[Mapping[str, Key]] = {"record": keys.mapping()}
    golden_keys: ClassVar[Mapping[str, Key]] = {"record": keys.mapping(required=True)}
    said_as = Object

    def choose(self, graph: Path, gives: Sequence[Any]) -> None:
        issue = f"gives {nodes.every(gives)}, none of which can be a record, as only kind python gives"
        raise errors.BundleInvalid(f"{graph} {issue}: say labels, numbers or another in its place")

    def gathered(self, rows: Sequence[Any]) -> list[Array]:
        found = np.empty(len(rows), dtype=object)
        found[:] = [checked(self.manifest, row, MOST_BYTES) for row in rows]
        return [found]

    def read(self, values: Sequence[Any], count: int) -> list[Array]:
        return list(values)

    def said(self, rows: Sequence[Mapping[str, Any]], runs: Sequence[Sequence[Array]]) -> list[Said]:
        return [Object(record) for [records] in runs for record in records]

    @classmethod
    def broken(cls, manifest: Manifest) -> Iterator[Fault]:
        for name, about in manifest.record.items():
            if not isinstance(about, dict):
                yield Fault(("record", name), "must be a mapping: its JSON Schema, such as {type: string}")
            elif strangers := [type_ for type_ in _types(about) if not isinstance(type_, str) or type_ not in TYPES]:
                yield Fault(("record", name, "type"), f"must be one of {', '.join(TYPES)}, and not {strangers[0]}")

    @classmethod
    def broken_golden(cls, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        for name in golden.answer["record"]:
            if manifest.record and name not in manifest.record:
                yield Fault(("record", name), f"is not in the record of model.yaml: {', '.join(manifest.record)}")

    @classmethod
    def missed(cls, golden: Golden, found: Object) -> str | None:
        return missed(golden.answer["record"], found.value)

    @classmethod
    def golden(cls, found: Object) -> dict[str, Any]:
        return {"record": dict(found.value)}

    @classmethod
    def json_schema(cls, manifest: Manifest) -> dict[str, Any]:
        return {"type": "object", "properties": {"record": json_schema(manifest)}, "required": ["record"]}


def json_schema(manifest: Manifest) -> dict[str, Any]:
    """Of what `checked` lets through."""
    named = {"properties": dict(manifest.record), "required": [*manifest.record], "additionalProperties": False}
    return {"type": "object", **(named if manifest.record else {})}


def checked(manifest: Manifest, given: object, most_bytes: int) -> dict[str, Any]:
    """What a class gave, as JSON has it, with the names and types of `record`, or any where there is none; raises
    ModelError."""
    name = manifest.name
    if not isinstance(given, Mapping):
        raise errors.ModelError(f"{name} gave a {type(given).__name__}, but must give a mapping")
    try:
        found: dict[str, Any] = plain(given, most_bytes, "its answer")
    except NotPlain as error:
        raise errors.ModelError(f"{name} gave what is no answer: {error}") from None
    if manifest.record and found.keys() != manifest.record.keys():
        gave, must = ", ".join(found) or "nothing", ", ".join(manifest.record)
        raise errors.ModelError(f"{name} gave a record with {gave}, but must give {must}")
    for key, about in manifest.record.items():
        types = _types(about)
        if types and not any(_is(found[key], type_) for type_ in types):
            shown = "null" if found[key] is None else f"a {type(found[key]).__name__}"
            raise errors.ModelError(f"{name} gave {shown} as {key}, but must give {' or '.join(types)}")
    return found


def missed(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """The first of the wanted values that is not found, in words."""
    for name, value in wanted.items():
        if name not in found:
            return f"must give {name}, but gives {', '.join(found) or 'nothing'}"
        if not same(value, found[name], TOLERANCE):
            return f"must give {name} {value}, but gives {found[name]}"
    return None


def same(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two values of JSON are the same, but for the last digits of numbers."""
    match one, other:
        case (bool(), _) | (_, bool()):
            return one is other
        case (int() | float(), int() | float()):
            return near(one, other, tolerance)
        case (dict(), dict()):
            return one.keys() == other.keys() and all(same(one[key], other[key], tolerance) for key in one)
        case (list(), list()):
            return len(one) == len(other) and all(map(lambda a, b: same(a, b, tolerance), one, other))
    return bool(one == other)


def _types(about: Mapping[str, Any]) -> list[Any]:
    said = about.get("type", [])
    return said if isinstance(said, list) else [said]


def _is(value: object, type_: str) -> bool:
    if isinstance(value, bool):
        return type_ == "boolean"
    return isinstance(value, TYPES[type_]) or (type_ == "integer" and isinstance(value, float) and value.is_integer())
