"""What a model takes and gives, as tensors: rows are the first axis of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference import answers
from inference.manifest import Field, Manifest
from serving.oip.tensors import BYTES, DATATYPES

#: Of a field that is no tensor.
_FIELDS = {"string": BYTES, "image": BYTES, "number": "FP64", "integer": "INT64", "boolean": "BOOL"}


@dataclass(frozen=True)
class Port:
    """An input or output; `row` is the shape of one row's, None for any size."""

    name: str
    datatype: str
    row: tuple[int | None, ...] = ()

    @property
    def shape(self) -> list[int]:
        """As the protocol tells it: -1 for any size."""
        return [-1, *(-1 if size is None else size for size in self.row)]


def takes(manifest: Manifest) -> Sequence[Port]:
    """One for each field; none of a model that takes files alone."""
    return [_input(field) for field in manifest.fields] if manifest.takes_rows else []


def _input(field: Field) -> Port:
    if field.type == "tensor":
        return Port(field.name, DATATYPES[str(field.dtype)], tuple(field.shape or ()))
    return Port(field.name, _FIELDS[field.type])


def gives(manifest: Manifest) -> Sequence[Port]:
    """Those that `outputs.of` makes of its answers."""
    if not manifest.takes_rows:
        return []
    match answers.of(manifest).key:
        case "labels":
            return [
                Port("prediction", BYTES),
                Port("confidence", "FP64"),
                Port("scores", "FP64", (len(manifest.labels),)),
            ]
        case "numbers":
            return [Port(number.name, "FP64") for number in manifest.numbers]
        case "embedding":
            return [Port("embedding", "FP32", (manifest.embedding,))]
        case "tensors":
            return [Port(tensor.name, DATATYPES[tensor.dtype], tensor.shape) for tensor in manifest.tensors]
        case key:
            return [Port(key, BYTES)]
