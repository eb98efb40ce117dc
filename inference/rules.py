"""What holds between the keys of a model.yaml whose types are right."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import chain

import marshmallow as ma

from core import errors
from inference import kinds, schema, tensors
from inference.faults import Fault
from inference.manifest import SHAP, Explain, Field, Manifest

NUMBERS = ("number", "integer")
#: That one run may give, which are written down one by one.
MOST_NUMBERS = 2**22
#: The keys of a field that are for fields of some types only.
LIMITS = {
    "min_length": ("string",), "max_length": ("string",), "minimum": NUMBERS, "maximum": NUMBERS,
    "dtype": ("tensor",), "shape": ("tensor",),
}  # fmt: skip
#: Axes that a tensor may have: JSON's lists in each other are read 64 deep.
MOST_AXES = 32


def broken(manifest: Manifest) -> list[Fault]:
    """The rules that it breaks; its examples are looked at when all else is right."""
    alone = chain.from_iterable(_field(place, field) for place, field in enumerate(manifest.fields))
    found = [*_twice("fields", [field.name for field in manifest.fields]), *alone, *_together(manifest)]
    return found or list(_golden(manifest))


def _field(place: int, field: Field) -> Iterator[Fault]:
    at = ("fields", place)
    for limit, types in LIMITS.items():
        if getattr(field, limit) is not None and field.type not in types:
            yield Fault((*at, limit), f"is for {' or '.join(map(_a, types))}, and the field is {_a(field.type)}")
    for least, most in (("min_length", "max_length"), ("minimum", "maximum")):
        low, high = getattr(field, least), getattr(field, most)
        if None not in (low, high) and low > high:
            yield Fault((*at, least), f"must be at most {most}, {schema.exact(high)}")
    if field.type == "tensor":
        found = list(_tensor(field, at))
        yield from found
        if found:
            return
    free = dataclasses.replace(field, enum=())
    for number, value in enumerate(field.enum):
        yield from _fits(free, value, (*at, "enum", number))
    yield from _twice("enum", field.enum, at)
    if field.default is not None:
        if field.required:
            yield Fault((*at, "default"), "is never used, as the field is required; say required: false")
        yield from _fits(field, field.default, (*at, "default"))


def _tensor(field: Field, at: tuple[str | int, ...]) -> Iterator[Fault]:
    """What its values are judged by must be right before any is looked at."""
    if field.dtype is None:
        yield Fault((*at, "dtype"), f"is missing: one of {', '.join(tensors.DTYPES)}")
    if field.shape is None:
        yield Fault((*at, "shape"), "is missing: the sizes of a row's axes, null for any, such as [3, null]")
    elif len(field.shape) > MOST_AXES:
        yield Fault((*at, "shape"), f"must have at most {MOST_AXES} axes")
    if field.enum:
        yield Fault((*at, "enum"), "is for fields that are no tensors")


def _a(type_: str) -> str:
    return f"{'an' if type_ in ('integer', 'image') else 'a'} {type_}"


def _fits(field: Field, value: object, path: tuple[str | int, ...]) -> Iterator[Fault]:
    """As a request's would have to; the default too, which is no better than others before that."""
    try:
        schema.rule(dataclasses.replace(field, default=None)).deserialize(value)
    except ma.ValidationError as error:
        found = error.messages
        where, [issue] = next(iter(found.items())) if isinstance(found, dict) else ("", found[:1])
        yield Fault(path, f"{issue}{f' at {where}' if where else ''}")


def _twice(name: str, values: Sequence[object], at: tuple[str | int, ...] = ()) -> Iterator[Fault]:
    seen: dict[object, int] = {}
    for number, value in enumerate(values):
        try:
            first = seen.setdefault(value, number)
        except TypeError:  # a list or a mapping
            first = seen.setdefault((repr(value),), number)
        if first < number:
            yield Fault((*at, name, number), f"is the same as number {first + 1}: {value}")


def _together(manifest: Manifest) -> Iterator[Fault]:
    yield from _twice("labels", manifest.labels)
    yield from _twice("tags", manifest.tags)
    yield from _twice("numbers", [number.name for number in manifest.numbers])
    yield from _explained(manifest)
    if manifest.inline and (manifest.pool != "cpu" or manifest.takes_file):
        yield Fault(("inline",), "must be false: the API answers rows without files in them, and on its own CPU")
    if manifest.cache and not manifest.takes_rows:
        yield Fault(("cache",), "must be false: answers to rows are kept, and it takes a file")
    kind = kinds.find(manifest.kind)
    for place, field in enumerate(manifest.fields):
        if field.input is not None and not kind.names_inputs:
            yield Fault(("fields", place, "input"), f"is for tabular; {manifest.kind} knows where its fields go")
    yield from _twice("tensors", [tensor.name for tensor in manifest.tensors])
    if (manifest.embedding or 0) * manifest.max_batch > MOST_NUMBERS:
        most = MOST_NUMBERS // (manifest.embedding or 1)
        yield Fault(("max_batch",), f"must be at most {most} for vectors of {manifest.embedding} numbers")
    yield from kind.broken(manifest)


def _explained(manifest: Manifest) -> Iterator[Fault]:
    says = manifest.explain
    yield from _twice("explanation", manifest.explanation)
    if {*manifest.explanation} - {SHAP} and not (manifest.labels or manifest.tags):
        yield Fault(("explanation",), "is for models that give labels or tags")
    if (says is not None) != (SHAP in manifest.explanation):
        missing = (
            f"is missing: it says how {SHAP} is made" if says is None else f"is for models whose explanation has {SHAP}"
        )
        yield Fault(("explain",), missing)
    if says is None:
        return
    if not manifest.labels and len(manifest.numbers) != 1:
        yield Fault(("explain",), "is for models that give labels, or one number")
    yield from _features(manifest, says)
    yield from _groups(manifest, says)


def _features(manifest: Manifest, says: Explain) -> Iterator[Fault]:
    if says.method == "exact" and says.evaluations != Explain.evaluations:
        yield Fault(("explain", "evaluations"), "is for sampled: exact asks the model nothing")
    features = kinds.find(manifest.kind).features
    if features is None:
        yield Fault(("explain",), "is for fields of tabular and words of texts; nothing else has features with names")
    elif features == "words":
        for name in ("background", "groups"):
            if getattr(says, name):
                yield Fault(("explain", name), "is for tabular: a word that is not known is left out")
        if says.method == "exact":
            yield Fault(("explain", "method"), "must be sampled for texts")
    elif says.background is None:
        yield Fault(("explain", "background"), "is missing: the file with the usual inputs, a line of JSON for each")


def _groups(manifest: Manifest, says: Explain) -> Iterator[Fault]:
    names, taken = {field.name for field in manifest.fields}, set[object]()
    for name, fields in says.groups.items():
        at = ("explain", "groups", name)
        if name in names - {*fields}:
            yield Fault(at, "is the name of a field that is not in it")
        for field in fields:
            if field not in names:
                yield Fault(at, f"names '{field}', which is no field")
            elif field in taken:
                yield Fault(at, f"names {field}, which is in a group already")
            taken.add(field)


def _golden(manifest: Manifest) -> Iterator[Fault]:
    kind = kinds.find(manifest.kind)
    for place, golden in enumerate(manifest.golden):
        at = ("golden", place)
        for fault in kind.broken_golden(manifest, golden):
            yield Fault((*at, *fault.path), fault.issue)
        if kind.takes_rows and golden.file is not None:
            continue
        try:
            schema.validate_inputs(manifest, dict(golden.inputs))
        except errors.InvalidInput as error:
            for refused in error.errors:
                yield Fault((*at, "inputs", refused["field"]), refused["issue"])
