"""Tensors as the protocol names them, and their elements as JSON and as bytes."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core import errors
from inference import tensors
from inference.given import Array

BYTES, FP16 = "BYTES", "FP16"
#: The protocol's types of elements, by the names that model.yaml has for them.
DATATYPES: Mapping[str, str] = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": FP16, "float32": "FP32", "float64": "FP64",
    "string": BYTES,
}  # fmt: skip
NAMES: Mapping[str, str] = {datatype: name for name, datatype in DATATYPES.items()}
#: So large is a tensor along one axis at most, and so many elements it has, also where another size of it is 0.
LARGEST = 2**31
#: Before each element of BYTES: how many there are of it, as four bytes, the lowest first.
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, eq=False)
class Tensor:
    """Of BYTES the elements are bytes, or texts where they came as JSON."""

    name: str
    datatype: str
    array: Array

    @property
    def shape(self) -> list[int]:
        return list(self.array.shape)


def misfit(name: str, issue: str) -> errors.InvalidInput:
    """What is said of a tensor that cannot be read."""
    return errors.InvalidInput.field(name, issue)


def of_json(name: str, datatype: str, shape: Sequence[int], data: object) -> Tensor:
    """Of a list of all elements, the last axis first, or of lists in each other; raises InvalidInput."""
    kind, where = _kind(name, datatype), f"inputs.{name}"
    if datatype == FP16:
        raise misfit(where, "is FP16, which has no form in JSON: send it as binary data, or as FP32")
    flat = not (isinstance(data, list) and data and isinstance(data[0], list))
    try:
        tensors.check(data, NAMES[datatype], (None,) if flat else shape)
    except tensors.Misfit as error:
        raise misfit(f"{where}{error.place}", str(error)) from error
    return Tensor(name, datatype, _shaped(where, np.array(data, kind), shape))


def of_bytes(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> Tensor:
    """Of all elements, each as so many bytes, the lowest first; raises InvalidInput."""
    kind, where = _kind(name, datatype), f"inputs.{name}"
    if datatype == BYTES:
        return of_texts(name, shape, list(_texts(where, data)))
    if len(data) % kind.itemsize:
        raise misfit(where, f"has {len(data)} bytes, which are no whole number of {datatype}")
    array = np.frombuffer(data, np.uint8 if datatype == "BOOL" else kind.newbyteorder("<"))
    if datatype == "BOOL" and array.size and array.max() > 1:
        raise misfit(where, "must have a byte of 0 or 1 for each BOOL")
    return Tensor(name, datatype, _shaped(where, array.astype(kind), shape))


def of_texts(name: str, shape: Sequence[int], elements: Sequence[bytes]) -> Tensor:
    """Of all elements of BYTES; raises InvalidInput."""
    made = np.empty(len(elements), object)
    if elements:
        made[:] = elements
    return Tensor(name, BYTES, _shaped(f"inputs.{name}", made, shape))


def to_bytes(tensor: Tensor) -> bytes:
    """What `of_bytes` reads."""
    if tensor.datatype != BYTES:
        return tensor.array.astype(tensor.array.dtype.newbyteorder("<")).tobytes()
    found = (item.encode() for item in tensor.array.ravel().tolist())
    return b"".join(itertools.chain.from_iterable((_LENGTH.pack(len(item)), item) for item in found))


def _kind(name: str, datatype: str) -> Any:
    """NumPy's type of the elements; raises InvalidInput."""
    if datatype not in NAMES:
        raise misfit(f"inputs.{name}", f"must have one of the datatypes {', '.join(NAMES)}, not {datatype[:40]}")
    return tensors.DTYPES[NAMES[datatype]].numpy


def _shaped(where: str, array: Array, shape: Sequence[int]) -> Array:
    if math.prod(shape) != array.size:
        raise misfit(where, f"has {array.size} elements, which are not those of its shape {list(shape)}")
    # Of nothing too there is a largest shape.
    if math.prod(size or 1 for size in shape) > LARGEST:
        raise misfit(where, f"has a shape that nothing can have: {list(shape)}")
    return array.reshape(tuple(shape))


def _texts(where: str, data: bytes | memoryview) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        if at + _LENGTH.size > len(data) or at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0] > len(data):
            raise misfit(where, "must have for each BYTES its length in 4 bytes, the lowest first, and so many bytes")
        end = at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0]
        yield bytes(data[at + _LENGTH.size : end])
        at = end
