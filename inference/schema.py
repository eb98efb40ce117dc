"""A bundle's fields as a Marshmallow schema and as JSON Schema; requests and rows of files pass the same one."""

from __future__ import annotations

import base64
import binascii
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields

from core import errors
from inference import glance, tensors
from inference.glance import LARGEST
from inference.manifest import Field, Manifest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
UNKNOWN = "is not a field of this model"
#: Of a picture in a row, in characters of base64: a row of a file is no longer, nor is a request's body by default.
MOST_ENCODED = 4 * 2**20
#: What it may be.
PICTURES = ("image/png", "image/jpeg", "image/webp")
#: So many keys more than there are fields are told by their names.
SPARE_KEYS = 20


class StrictSchema(ma.Schema):
    """Refuses an object with far more keys than there are fields at once: a fault for each key of a full body would be
    seconds of work, and an answer longer than the body."""

    def load(self, data: Any, **how: Any) -> Any:
        if (type(data) is dict or isinstance(data, Mapping)) and len(data) > len(self.load_fields) + SPARE_KEYS:
            raise ma.ValidationError(f"has {len(data)} fields, of which at most {len(self.load_fields)} are known")
        return super().load(data, **how)


class StrictString(fields.String):
    """A string that is one already and can be written down: no lone surrogates."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ma.ValidationError("contains a lone surrogate, which is not a character") from error
        return value


class StrictNumber(fields.Float):
    """A number of a float32's range that is one already: neither "1" nor true."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.make_error("invalid")
        if not -LARGEST <= value <= LARGEST:
            what = f"from {-LARGEST} to {LARGEST}, the range of a float32" if _finite(value) else "a finite number"
            raise ma.ValidationError(f"must be {what}")
        return float(value)


class StrictInteger(fields.Integer):
    """A whole number of at most 64 bits that is one already."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        if not -(2**63) <= value < 2**64:
            raise ma.ValidationError("must be a whole number of at most 64 bits")
        return value


class StrictBoolean(fields.Boolean):
    """true or false."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class StrictTensor(fields.Field[Any]):
    """Lists in each other of one shape and type, which stay as they are."""

    def __init__(self, field: Field, **how: Any) -> None:
        super().__init__(**how)
        self._dtype, self._shape = str(field.dtype), field.shape or ()

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            tensors.check(value, self._dtype, self._shape)
        except tensors.Misfit as error:
            raise ma.ValidationError({error.place: [str(error)]} if error.place else str(error)) from error
        return value


class StrictPicture(StrictString):
    """Base64 of RFC 4648, §4, in its one form: padded, nothing between, no bits over."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not text:
            raise ma.ValidationError("must not be empty")
        if len(text) > MOST_ENCODED:
            most = f"{MOST_ENCODED} characters, which are {MOST_ENCODED // 4 * 3 >> 20} MiB of a picture"
            raise ma.ValidationError(f"exceeds maximum length of {most}; hand in a larger one as a file")
        try:
            decoded = binascii.a2b_base64(text)
        except ValueError:
            decoded = b""
        if base64.b64encode(decoded).decode() != text:
            wanted = "the alphabet with + and /, padded with =, without line breaks or a data: in front"
            raise ma.ValidationError(f"must be base64 of a picture: {wanted}")
        return text


_TYPES: dict[str, type[fields.Field[Any]]] = {
    "string": StrictString,
    "number": StrictNumber,
    "integer": StrictInteger,
    "boolean": StrictBoolean,
    "image": StrictPicture,
}


_INVALID = {"integer": "must be an integer", "image": "must be a string, a picture in base64"}


def validate_inputs(manifest: Manifest, raw: object, *, name: str = "") -> dict[str, Any]:
    """One input object, checked and with defaults filled in; raises InvalidInput naming each field and limit, by the
    object's own `name` before the field's."""
    if not isinstance(raw, dict):
        raise errors.InvalidInput.field(name or "inputs", "must be an object")
    if (found := glance.inputs(manifest, raw)) is not None:
        return found
    try:
        loaded: dict[str, Any] = _schema(manifest).load(raw)
    except ma.ValidationError as error:
        raise errors.InvalidInput(errors=_faults(error, raw, name)) from error
    return {field.name: loaded[place] for place, field in _placed(manifest)}


def json_schema(manifest: Manifest) -> dict[str, Any]:
    """The same rules as JSON Schema 2020-12."""
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {field.name: _property(field) for field in manifest.fields},
        "required": [field.name for field in manifest.fields if field.required],
        "additionalProperties": False,
    }


@functools.lru_cache(maxsize=256)
def _schema(manifest: Manifest) -> ma.Schema:
    declared = {}
    for place, field in _placed(manifest):
        declared[place] = rule(field)
        declared[place].data_key = field.name
    made = StrictSchema.from_dict(declared)
    return made(unknown=ma.RAISE)


def _placed(manifest: Manifest) -> Iterator[tuple[str, Field]]:
    """Names of our own for the fields: Marshmallow takes a dot in one for a path, and others for its own."""
    return ((f"field{place}", field) for place, field in enumerate(manifest.fields))


def rule(field: Field) -> fields.Field[Any]:
    """What one field's values are judged by."""
    rules: list[Any] = []
    if field.min_length is not None or field.max_length is not None:
        rules.append(functools.partial(_length, field))
    if field.minimum is not None or field.maximum is not None:
        rules.append(functools.partial(_range, field))
    if field.enum:
        rules.append(functools.partial(_enum, field))
    messages: dict[str, Any] = {
        "required": "is required",
        "null": "must not be null",
        "invalid": _INVALID.get(field.type, f"must be a {field.type}"),
    }
    extra: dict[str, Any] = {} if field.required else {"load_default": glance.default(field)}
    if field.type == "tensor":
        return StrictTensor(field, required=field.required, error_messages=messages, **extra)
    return _TYPES[field.type](required=field.required, validate=rules, error_messages=messages, **extra)


def _enum(field: Field, value: object) -> None:
    # Not `OneOf`: it would take braces in a value for a place to fill in.
    if value not in field.enum:
        raise ma.ValidationError(f"must be one of: {', '.join(map(str, field.enum))}")


def _length(field: Field, value: str) -> None:
    if field.max_length is not None and len(value) > field.max_length:
        raise ma.ValidationError(f"exceeds maximum length of {field.max_length} characters")
    if field.min_length is not None and len(value.strip()) < field.min_length:
        least = f"must have at least {field.min_length} characters, without the white space around them"
        raise ma.ValidationError("must not be blank" if field.min_length == 1 else least)


def _range(field: Field, value: float) -> None:
    if field.minimum is not None and value < field.minimum:
        raise ma.ValidationError(f"must be at least {exact(field.minimum)}")
    if field.maximum is not None and value > field.maximum:
        raise ma.ValidationError(f"must be at most {exact(field.maximum)}")


def exact(limit: float) -> str:
    """A limit as short as it is told whole."""
    return str(int(limit)) if abs(limit) < 2**53 and limit == int(limit) else repr(limit)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _faults(error: ma.ValidationError, raw: Mapping[str, Any], outer: str) -> list[dict[str, Any]]:
    faults = []
    for name, messages in _messages(error).items():
        # Of a tensor by the place in it.
        place, said = next(iter(messages.items())) if isinstance(messages, dict) else ("", messages)
        issue = UNKNOWN if said == ["Unknown field."] else str(said[0])
        path = (outer or "inputs") if name == "_schema" else f"{outer}.{name}{place}".lstrip(".")
        fault: dict[str, Any] = {"field": path, "issue": issue}
        received = raw.get(name)
        if isinstance(received, str) and "length" in issue:
            fault["received_length"] = len(received)
        faults.append(fault)
    return faults


def _messages(error: ma.ValidationError) -> dict[str, Any]:
    return error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}


def _property(field: Field) -> dict[str, Any]:
    typed = tensors.json_schema(str(field.dtype), field.shape or ()) if field.type == "tensor" else {"type": field.type}
    facts = {
        "description": field.description or None,
        "minLength": field.min_length,
        "maxLength": field.max_length,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "enum": list(field.enum) or None,
        "default": None if field.required else field.default,
    }
    said = {name: value for name, value in facts.items() if value is not None}
    if field.type == "image":
        media = [{"contentMediaType": type_} for type_ in PICTURES]
        limits = {"minLength": 1, "maxLength": MOST_ENCODED}
        return {"type": "string", "contentEncoding": "base64", "anyOf": media, **limits, **said}
    return {**typed, **said}
