"""From a message to what it asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import errors
from rpc.inference_pb2 import InferParameter, InferTensorContents, ModelInferRequest
from serving.oip import infer, tensors
from serving.oip.infer import Asked, Wanted
from serving.oip.tensors import BYTES, FP16, Tensor, misfit

#: Where the elements of each datatype are, if they are not bytes.
CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
_Parameters = Mapping[str, InferParameter]


def asked(message: ModelInferRequest) -> Asked:
    """Raises InvalidInput."""
    _check_size("id", len(message.id), infer.MOST_ID)
    _check_size("inputs", len(message.inputs), infer.MOST_NAMED)
    _check_size("outputs", len(message.outputs), infer.MOST_NAMED)
    parameters, raw = _said(message.parameters), message.raw_input_contents
    infer.refuse("request", parameters)
    for output in message.outputs:
        infer.refuse(f"outputs.{output.name}", _said(output.parameters))
    for item in message.inputs:  # what is in shared memory is not in the message
        infer.refuse(f"inputs.{item.name}", _said(item.parameters))
    if raw and len(raw) != len(message.inputs):
        raise misfit("raw_input_contents", f"has {len(raw)} elements for {len(message.inputs)} inputs")
    inputs = [
        infer.read(_tensor(item, raw[place] if raw else None), _said(item.parameters))
        for place, item in enumerate(message.inputs)
    ]
    binary = parameters.get("binary_data_output", bool(raw))
    if not isinstance(binary, bool):
        raise misfit("parameters.binary_data_output", "must be true or false")
    return Asked(inputs, [Wanted(output.name, binary) for output in message.outputs], binary, message.id)


def _said(parameters: _Parameters) -> dict[str, Any]:
    """Each as Python has it; None for one without a value."""
    found = {}
    for name, value in parameters.items():
        choice = value.WhichOneof("parameter_choice")
        found[name] = getattr(value, choice) if choice else None
    return found


def _tensor(item: ModelInferRequest.InferInputTensor, raw: bytes | None) -> Tensor:
    where, shape = f"inputs.{item.name}", list(item.shape)
    _check_size(where, len(item.name), infer.MOST_NAME)
    _check_size(f"{where}.shape", len(shape), infer.MOST_AXES)
    if any(not 0 <= size <= tensors.LARGEST for size in shape):
        raise misfit(f"{where}.shape", f"must have sizes from 0 to {tensors.LARGEST}")
    if raw is None:
        return _of_contents(item.name, item.datatype, shape, item.contents)
    if item.contents.ListFields():
        raise misfit(f"{where}.contents", "must be left out, as raw_input_contents is given")
    return tensors.of_bytes(item.name, item.datatype, shape, raw)


def _of_contents(name: str, datatype: str, shape: list[int], contents: InferTensorContents) -> Tensor:
    where = f"inputs.{name}"
    if datatype == FP16:
        raise misfit(where, "is FP16, which has no typed contents: send it in raw_input_contents, or as FP32")
    right = CONTENTS.get(datatype, "")
    for found, _ in contents.ListFields():
        if found.name != right and right:
            raise misfit(f"{where}.contents", f"has {found.name}, where those of {datatype} are {right}")
    elements = list(getattr(contents, right)) if right else []
    if datatype == BYTES:
        return tensors.of_texts(name, shape, elements)
    return tensors.of_json(name, datatype, shape, elements)


def _check_size(where: str, size: int, most: int) -> None:
    """Raises InvalidInput."""
    if size > most:
        raise errors.InvalidInput.field(where[:100], f"must have at most {most}, not {size}")
