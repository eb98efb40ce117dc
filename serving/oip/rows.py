"""From tensors to the rows that they hold, which are then judged as all rows are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from inference.manifest import Field, Manifest
from serving import inputs
from serving.oip import signature
from serving.oip.signature import Port
from serving.oip.tensors import BYTES, Tensor, misfit

#: Which datatypes a field that is no tensor takes: none of these loses anything.
_WHOLE = frozenset(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_ACCEPTED = {
    "string": frozenset({BYTES}),
    "image": frozenset({BYTES}),
    "number": _WHOLE | {"FP16", "FP32", "FP64"},
    "integer": _WHOLE,
    "boolean": frozenset({"BOOL"}),
}


def of(manifest: Manifest, given: Sequence[Tensor], *, most: int) -> list[dict[str, Any]]:
    """As many as the first axis of each tensor says; raises InvalidInput, BatchTooLarge."""
    ports = {port.name: port for port in signature.takes(manifest)}
    fields = {field.name: field for field in manifest.fields}
    seen: dict[str, list[Any]] = {}
    for tensor in given:
        if tensor.name not in ports:
            raise misfit(f"inputs.{tensor.name}", f"is none of the inputs: {', '.join(ports)}")
        if tensor.name in seen:
            raise misfit(f"inputs.{tensor.name}", "is given more than once")
        _check_shape(ports[tensor.name], fields[tensor.name], tensor)
        inputs.limit(tensor.shape[0], most)
        seen[tensor.name] = _values(fields[tensor.name], tensor)
    if len({len(values) for values in seen.values()}) != 1:
        said = ", ".join(f"{name} {len(values)}" for name, values in seen.items()) or "none"
        raise misfit("inputs", f"must be tensors with the same number of rows, but have {said}")
    return [dict(zip(seen, row, strict=True)) for row in zip(*seen.values(), strict=True)]


def _check_shape(port: Port, field: Field, tensor: Tensor) -> None:
    """Raises InvalidInput."""
    where, alone = f"inputs.{port.name}", field.type != "tensor"
    accepted = _ACCEPTED[field.type] if alone else frozenset({port.datatype})
    if tensor.datatype not in accepted:
        raise misfit(where, f"must be {port.datatype}, not {tensor.datatype}")
    row = tensor.array.shape[1:]
    if tensor.array.ndim and alone and row in ((), (1,)):
        return
    fits = len(row) == len(port.row) and all(size in (None, has) for size, has in zip(port.row, row, strict=True))
    if not tensor.array.ndim or alone or not fits:
        also = " or [-1, 1]" if alone else ""
        raise misfit(where, f"must have the shape {port.shape}{also}, rows first, but has {tensor.shape}")


def _values(field: Field, tensor: Tensor) -> list[Any]:
    """One for each row."""
    array = tensor.array
    if tensor.datatype == BYTES:
        array = array.copy()
        array.ravel()[:] = [_text(field, item) for item in array.ravel().tolist()]
    return list(array.tolist() if field.type == "tensor" else array.ravel().tolist())


def _text(field: Field, item: str | bytes) -> str:
    """A picture is base64 in JSON, and itself where it comes as bytes."""
    if isinstance(item, str):
        return item
    if field.type == "image":
        return base64.b64encode(item).decode()
    try:
        return item.decode()
    except UnicodeDecodeError as error:
        raise misfit(f"inputs.{field.name}", "must be UTF-8") from error


def unwrapped(tensor: Tensor) -> Tensor:
    """One whose BYTES are base64 (mlserver's `content_type: base64`); raises InvalidInput."""
    array = tensor.array.copy()
    try:
        array.ravel()[:] = [binascii.a2b_base64(item, strict_mode=True) for item in array.ravel().tolist()]
    except (ValueError, TypeError) as error:
        raise misfit(f"inputs.{tensor.name}", "must be base64, as its content_type says") from error
    return Tensor(tensor.name, tensor.datatype, array)
