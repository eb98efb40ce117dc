"""The nodes of an ONNX file, read without its library, which no process of ours needs otherwise.

A file is a Protocol Buffer: fields, each a key of its number and its wire type, and a value. Only what says which node
takes what, and its attributes, is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: A larger graph holds weights of a network, and is not read: what is exact here is far smaller.
MAX_BYTES = 256 * 2**20

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: Of a TensorProto: NumPy's name of each `data_type`.
DTYPES = {1: "<f4", 2: "u1", 3: "i1", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 11: "<f8"}


class Unread(ValueError):
    """The file is no graph that can be read here."""


@dataclass(frozen=True)
class Node:
    """One step of a graph: of attributes, numbers and lists of numbers are arrays, texts are bytes."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """Its steps, in order, and the names of what it takes."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]


def read(path: Path) -> Graph:
    """The graph of a file; raises Unread."""
    if path.stat().st_size > MAX_BYTES:
        raise Unread(f"is larger than {MAX_BYTES} bytes")
    try:
        return _graph(next(value for number, value in _walk(memoryview(path.read_bytes())) if number == 7))
    except (StopIteration, IndexError, UnicodeDecodeError, TypeError, OverflowError) as error:
        raise Unread("is no ONNX graph") from error


def _graph(data: memoryview) -> Graph:
    nodes, inputs = [], []
    for number, value in _walk(data):
        if number == 1:
            nodes.append(_node(value))
        elif number == 11:
            inputs.append(_text(next(name for at, name in _walk(value) if at == 1)))
    return Graph(tuple(nodes), tuple(inputs))


def _node(data: memoryview) -> Node:
    takes, gives, op, attributes = [], [], "", {}
    for number, value in _walk(data):
        if number == 1:
            takes.append(_text(value))
        elif number == 2:
            gives.append(_text(value))
        elif number == 4:
            op = _text(value)
        elif number == 5:
            name, found = _attribute(value)
            attributes[name] = found
    return Node(op, tuple(takes), tuple(gives), attributes)


def _attribute(data: memoryview) -> tuple[str, Any]:
    found: dict[int, list[Any]] = {}
    for number, value in _walk(data):
        found.setdefault(number, []).append(value)
    name = _text(found[_NAME][0]) if _NAME in found else ""
    return name, next((read(found[number]) for number, read in _READ.items() if number in found), None)


def _wholes(values: list[Any]) -> Any:
    """One by one, or many in a field."""
    each = [one for value in values for one in ([value] if isinstance(value, int) else _varints(value))]
    return np.array([_signed(one) for one in each], np.int64)


def _tensor(data: memoryview) -> Any:
    """One that stands in the file itself, flat; texts, and types that no tree has, are none."""
    found: dict[int, list[Any]] = {}
    for number, value in _walk(data):
        found.setdefault(number, []).append(value)
    dtype = DTYPES.get(found.get(2, [0])[0])
    if dtype is None:
        return None
    for field, stored in {9: dtype, 4: "<f4", 10: "<f8"}.items():
        if field in found:
            return np.frombuffer(b"".join(found[field]), stored)
    return _wholes([*found.get(5, []), *found.get(7, [])]).astype(dtype)


_NAME = 1
#: Of an AttributeProto: each field that may be its value, and how it is read.
_READ: Mapping[int, Callable[[list[Any]], Any]] = {
    2: lambda values: float(np.frombuffer(values[0], "<f4")[0]),
    3: lambda values: _signed(values[0]),
    4: lambda values: bytes(values[0]),
    5: lambda values: _tensor(values[0]),
    7: lambda values: np.frombuffer(b"".join(values), "<f4"),
    8: _wholes,
    9: lambda values: [bytes(value) for value in values],
}


def _walk(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Each field's number with its value: a whole number, or its bytes. Raises Unread, IndexError."""
    place, end = 0, len(data)
    while place < end:
        key, place = _varint(data, place)
        wire = key & 7
        if wire == _VARINT:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            size, place = _varint(data, place)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
        if size < 0 or place + size > end:
            raise Unread("is no ONNX graph")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    byte = data[place]
    if byte < 128:
        return byte, place + 1
    value, shift = byte & 127, 7
    while shift < 64:
        place += 1
        byte = data[place]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place + 1
        shift += 7
    raise Unread("is no ONNX graph")


def _varints(data: memoryview) -> Iterator[int]:
    place = 0
    while place < len(data):
        value, place = _varint(data, place)
        yield value


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _text(data: memoryview) -> str:
    return bytes(data).decode()
