"""Inputs that are plainly right are let through at once: what is not is judged by the schema, which says why.

The schema takes ten times as long, which is a tenth of a small model's answer. Whatever is let through here the schema
lets through, and makes the same of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from inference.manifest import Field, Manifest

#: Beyond it a float32, as graphs take numbers, is infinite.
LARGEST = 3.4028235e38

_ABSENT = object()
#: What comes of a value; _ABSENT where the schema is to be asked.
_Take = Callable[[Any], Any]


def inputs(manifest: Manifest, raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """One input with its defaults filled in; None where the schema is to be asked."""
    found, given = {}, 0
    for name, take, default in _fields(manifest):
        value = raw.get(name, _ABSENT)
        if value is _ABSENT:
            found[name] = value = default
        else:
            given += 1
            found[name] = value = take(value)
        if value is _ABSENT:
            return None
    return found if given == len(raw) else None


@functools.lru_cache(maxsize=256)
def _fields(manifest: Manifest) -> tuple[tuple[str, _Take, Any], ...]:
    return tuple((field.name, _take(field), default(field)) for field in manifest.fields)


def default(field: Field) -> Any:
    """What stands for a value that is left out; no value at all where one is required."""
    if field.required:
        return _ABSENT
    # A number is a float, said or not.
    return float(field.default) if field.type == "number" and field.default is not None else field.default


def _take(field: Field) -> _Take:
    take = _TAKES.get(field.type)
    if take is None:
        return lambda _: _ABSENT
    checked = functools.partial(take, field)
    if not field.enum:
        return checked

    def among(value: Any) -> Any:
        found = checked(value)
        return found if found is not _ABSENT and found in field.enum else _ABSENT

    return among


def _string(field: Field, value: Any) -> Any:
    if type(value) is not str or not (value.isascii() or _is_text(value)):
        return _ABSENT
    if field.max_length is not None and len(value) > field.max_length:
        return _ABSENT
    if field.min_length is not None and len(value.strip()) < field.min_length:
        return _ABSENT
    return value


def _number(field: Field, value: Any) -> Any:
    if (type(value) is not float and type(value) is not int) or not -LARGEST <= value <= LARGEST:
        return _ABSENT
    return float(value) if _is_within(field, value) else _ABSENT


def _integer(field: Field, value: Any) -> Any:
    if type(value) is not int or not -(2**63) <= value < 2**64:
        return _ABSENT
    return value if _is_within(field, value) else _ABSENT


def _boolean(_: Field, value: Any) -> Any:
    return value if type(value) is bool else _ABSENT


def _is_within(field: Field, value: float) -> bool:
    return (field.minimum is None or value >= field.minimum) and (field.maximum is None or value <= field.maximum)


def _is_text(value: str) -> bool:
    """Whether it holds no lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_TAKES: Mapping[str, Callable[[Field, Any], Any]] = {
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
}
