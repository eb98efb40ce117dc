"""From a request's body to what it asks: JSON, and behind it the bytes of tensors (the binary data extension)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

import flask
import marshmallow as ma
from marshmallow import fields, validate
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from api import parsing
from core import errors
from inference import schema
from serving.oip import infer, tensors
from serving.oip.infer import Asked, Wanted
from serving.oip.tensors import Tensor

#: Of the JSON at the head of a body that goes on with bytes.
LENGTH = "Inference-Header-Content-Length"
#: How zlib is told of each.
_ENCODINGS = {"gzip": 31, "deflate": 15}


class _Named(ma.Schema):
    """What some clients add (`model_name`, for one) is another server's affair."""

    class Meta:
        unknown = ma.EXCLUDE

    name = schema.StrictString(required=True, validate=validate.Length(1, infer.MOST_NAME))
    parameters = fields.Dict(keys=schema.StrictString(), load_default=dict, allow_none=True)


class _Input(_Named):
    datatype = schema.StrictString(required=True)
    shape = fields.List(
        schema.StrictInteger(validate=validate.Range(0, tensors.LARGEST)),
        required=True,
        validate=validate.Length(0, infer.MOST_AXES),
    )
    data = fields.Raw(load_default=None, allow_none=True)


class _Infer(ma.Schema):
    class Meta:
        unknown = ma.EXCLUDE

    id = schema.StrictString(load_default="", allow_none=True, validate=validate.Length(max=infer.MOST_ID))
    parameters = fields.Dict(keys=schema.StrictString(), load_default=dict, allow_none=True)
    inputs = fields.List(fields.Nested(_Input), required=True, validate=validate.Length(1, infer.MOST_NAMED))
    outputs = fields.List(
        fields.Nested(_Named), load_default=list, allow_none=True, validate=validate.Length(0, infer.MOST_NAMED)
    )


_INFER = _Infer()


def body(request: flask.Request) -> bytes:
    """All of it, unpacked; raises what Flask raises for one that is too large."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    data, most = request.get_data(), int(request.max_content_length or 0)
    if encoding == "identity":
        if request.content_length is None and len(data) >= most:
            raise RequestEntityTooLarge
        return data
    if encoding not in _ENCODINGS:
        raise UnsupportedMediaType("Send the body as gzip or deflate, or without Content-Encoding")
    unpacker = zlib.decompressobj(_ENCODINGS[encoding])
    try:
        found = unpacker.decompress(data, most + 1)
    except zlib.error as error:
        raise errors.MalformedRequest(details={"field": "body", "issue": f"is no {encoding}"}) from error
    if len(found) > most:
        raise RequestEntityTooLarge
    if not unpacker.eof or unpacker.unused_data:
        raise errors.MalformedRequest(details={"field": "body", "issue": f"is no whole {encoding}"})
    return found


def asked(data: bytes, length: str | None) -> Asked:
    """Raises MalformedRequest, InvalidInput."""
    size = _size(length, len(data))
    try:
        said = _INFER.load(parsing.read(data[:size]))
    except ma.ValidationError as error:
        raise parsing.refused(error.messages) from error
    infer.refuse("request", said["parameters"] or {})
    at, found, tail = 0, [], memoryview(data)[size:]
    for item in said["inputs"]:
        tensor, took = _tensor(item, tail[at:])
        found.append(infer.read(tensor, item["parameters"] or {}))
        at += took
    if at != len(tail):
        issue = f"has {len(tail)} bytes behind the JSON, of which the inputs' binary_data_size say {at}"
        raise errors.MalformedRequest(details={"field": "body", "issue": issue})
    binary = _flag("parameters.binary_data_output", (said["parameters"] or {}).get("binary_data_output", False))
    return Asked(found, [_wanted(item, binary) for item in said["outputs"] or ()], binary, said["id"] or "")


def _size(length: str | None, whole: int) -> int:
    if length is None:
        return whole
    if not re.fullmatch("[0-9]{1,12}", length) or int(length) > whole:
        issue = f"must be how many of the body's {whole} bytes are JSON"
        raise errors.MalformedRequest(details={"field": LENGTH, "issue": issue, "received": length})
    return int(length)


def _tensor(item: Mapping[str, Any], tail: memoryview) -> tuple[Tensor, int]:
    """With how many bytes of the rest it took."""
    name, datatype, shape = item["name"], item["datatype"], item["shape"]
    took = (item["parameters"] or {}).get("binary_data_size")
    if took is None:
        return tensors.of_json(name, datatype, shape, item["data"]), 0
    if type(took) is not int or not 0 <= took <= len(tail):
        issue = f"must be how many bytes of the {len(tail)} that are left are this input's"
        raise errors.InvalidInput.field(f"inputs.{name}.parameters.binary_data_size", issue)
    if item["data"] is not None:
        raise errors.InvalidInput.field(f"inputs.{name}.data", "must be left out, as binary_data_size is given")
    return tensors.of_bytes(name, datatype, shape, tail[:took]), took


def _wanted(item: Mapping[str, Any], binary: bool) -> Wanted:
    parameters = item["parameters"] or {}
    infer.refuse(f"outputs.{item['name']}", parameters)
    where = f"outputs.{item['name']}.parameters.binary_data"
    return Wanted(item["name"], _flag(where, parameters.get("binary_data", binary)))


def _flag(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise errors.InvalidInput.field(where, "must be true or false")
    return value
