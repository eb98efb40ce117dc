"""From values to the protocol's messages."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import format_datetime

from registry.catalog import Catalog
from rpc.call import Call
from rpc.inference_pb2 import InferTensorContents, ModelInferResponse, ModelMetadataResponse
from rpc.reading import CONTENTS
from serving.oip import tensors
from serving.oip.infer import Inferred
from serving.oip.signature import Port
from serving.oip.tensors import BYTES, Tensor
from serving.values import Served


def model(
    name: str, versions: Sequence[str], platform: str, takes: Sequence[Port], gives: Sequence[Port]
) -> ModelMetadataResponse:
    """A model's metadata."""
    inputs, outputs = (
        [
            ModelMetadataResponse.TensorMetadata(name=port.name, datatype=port.datatype, shape=port.shape)
            for port in side
        ]
        for side in (takes, gives)
    )
    return ModelMetadataResponse(name=name, versions=versions, platform=platform, inputs=inputs, outputs=outputs)


def inferred(found: Inferred) -> ModelInferResponse:
    """The outputs, all of them as bytes where that was asked for, else each in the field of its datatype."""
    served = found.served
    made = ModelInferResponse(model_name=served.model, model_version=served.version, id=found.id)
    for tensor, binary in found.outputs:
        output = made.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if binary:
            made.raw_output_contents.append(tensors.to_bytes(tensor))
        else:
            _fill(output.contents, tensor)
    return made


def _fill(contents: InferTensorContents, tensor: Tensor) -> None:
    elements = tensor.array.ravel().tolist()
    if tensor.datatype == BYTES:
        elements = [item.encode() for item in elements]
    getattr(contents, CONTENTS[tensor.datatype]).extend(elements)


def by(call: Call, catalog: Catalog, found: Inferred) -> None:
    """Say which version answered, why, whether it is to be used on, and whether this was answered before."""
    served: Served = found.served
    call.told.update({"x-model-version": served.version, "x-model-route": served.route})
    if ends := catalog.deprecation(served.model, served.version):
        # RFC 9745 and RFC 8594.
        call.told["deprecation"] = f"@{int(ends.at.timestamp())}"
        if ends.sunset_at:
            call.told["sunset"] = format_datetime(ends.sunset_at, usegmt=True)
    if found.found:
        call.told["x-cache"] = found.found
    if found.again:
        call.told["idempotent-replayed"] = "true"
