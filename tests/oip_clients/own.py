"""What the cases ask, and what comes of it, in the words of Coatcheck's own API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.oip_clients.cases import Given

DATATYPES = {"float32": "FP32", "float16": "FP16"}


def rows(given: Given) -> list[dict[str, Any]]:
    """The inputs that the tensor is."""
    return [{given.name: row} for row in nested(given.values, given.shape)]


def nested(values: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    if len(shape) < 2:
        return list(values)
    size = len(values) // shape[0]
    return [nested(values[at : at + size], shape[1:]) for at in range(0, len(values), size)]


def takes(schema: Mapping[str, Any]) -> list[tuple[str, str, list[int]]]:
    """The inputs of a model of tensors, of whose one row this is the JSON Schema."""
    return [(name, *tensor(field)) for name, field in schema["properties"].items()]


def tensor(field: Mapping[str, Any]) -> tuple[str, list[int]]:
    shape = [-1]
    while field["type"] == "array":
        shape.append(-1)
        field = field["items"]
    return DATATYPES[field["format"]], shape
