"""What model.yaml may say: the types of its keys as a schema; what holds between them is in `inference.rules`."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from core import errors
from inference import faults, model_yaml, rules, schema
from inference.faults import Fault
from inference.manifest import FILE_KINDS, ROW_KINDS, Manifest

ENTRY_POINTS = "coatcheck.kinds"
POOLS = ("cpu", "gpu")
EXPLANATIONS = ("simple",)
MAX_TEXT = 1000
MAX_BATCH = 4096
#: A chunk of 32 of the largest batches is charged as a number of 32 bits.
MAX_UNITS = 10_000
NAME, NAMES = r"[a-z][a-z0-9_-]{0,62}\Z", "1 to 63 of a-z, 0-9, _ and -, beginning with a letter"
VERSION, VERSIONS = r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}\Z", "three numbers with points between them, like 1.0.0"
FILLED = validate.And(
    validate.Regexp(r"(?s).*\S", error="must not be blank"),
    validate.Length(max=MAX_TEXT, error=f"must have at most {MAX_TEXT} characters"),
)


def load(folder: Path) -> Manifest:
    """Read `folder/model.yaml`; raises BundleInvalid with a sentence for each mistake in it."""
    written = model_yaml.read(folder)
    # Who writes American English means the same.
    raw = {"licence" if key == "license" else key: value for key, value in written.items()}
    found = [Fault(("license",), "is the same as licence; say one of them")] if len(raw) < len(written) else []
    found += _kind(raw)
    if not found:
        try:
            manifest = Manifest.from_dict(_schema(raw["kind"]).load(raw))
        except ma.ValidationError as error:
            found += faults.of(error.messages)
        else:
            found += rules.broken(manifest)
            if not found:
                return manifest
    raise errors.BundleInvalid(faults.told(folder / model_yaml.NAME, raw, found))


def kinds() -> list[str]:
    """The kinds that are installed."""
    return [*ROW_KINDS, *FILE_KINDS, *sorted(entry_points(group=ENTRY_POINTS).names)]


def _kind(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """All else depends on it."""
    known = kinds()
    if "kind" not in raw:
        # Under another name, such as `type`, or under one that is nearly right.
        others = [key for key in raw if key not in _ROWS and key != "options" and key != "golden"]
        near = [key for key in others if raw[key] in known] or difflib.get_close_matches("kind", others, 1)
        if near:
            yield Fault((near[0],), "is unknown; did you mean kind?")
            return
        yield Fault(("kind",), f"is missing; it must be one of {', '.join(known)}")
    elif raw["kind"] not in known:
        yield Fault(("kind",), f"must be one of {', '.join(known)}")


class _Keys(schema.StrictSchema):
    """Says in its own words what is no mapping, and which keys there are."""

    def __init__(self, **how: Any) -> None:
        super().__init__(unknown=ma.RAISE, **how)
        self.error_messages = {"type": "must be a mapping", "unknown": f"{faults.UNKNOWN}{', '.join(self.fields)}"}


def _must(be: str) -> dict[str, Any]:
    return {"required": "is missing", "null": "must not be empty", "invalid": f"must be {be}", "type": f"must be {be}"}


def _text(rule: Any = FILLED, be: str = "a text", **how: Any) -> fields.Field[Any]:
    return schema.StrictString(validate=rule, error_messages=_must(be), **how)


def _one_of(*allowed: str, **how: Any) -> fields.Field[Any]:
    return _text(validate.OneOf(allowed, error=f"must be one of {', '.join(allowed)}"), **how)


def _whole(least: int, most: int, **how: Any) -> fields.Field[Any]:
    rule = validate.Range(least, most, error=f"must be a whole number from {least} to {most}")
    return schema.StrictInteger(validate=rule, error_messages=_must("a whole number"), **how)


def _number(least: float | None = None, most: float | None = None, **how: Any) -> fields.Field[Any]:
    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    rule = validate.Range(least, most, error=f"must be a number {limits}")
    return schema.StrictNumber(validate=rule, error_messages=_must("a number"), **how)


def _flag() -> fields.Field[Any]:
    return schema.StrictBoolean(error_messages=_must("true or false"))


def _list(of: fields.Field[Any], *, least: int = 0, **how: Any) -> fields.Field[Any]:
    wanted = validate.Length(least, error="must not be empty" if least == 1 else f"must have at least {least} entries")
    return fields.List(of, validate=wanted, error_messages=_must("a list"), **how)


def _labels() -> fields.Field[Any]:
    found = _list(_text(), least=2, required=True)
    found.error_messages["required"] = (
        "is missing: one for each score that the graph gives, in its order; a model "
        "that gives a number is not supported yet"
    )
    return found


def _any() -> fields.Field[Any]:
    return fields.Raw(allow_none=True)


def _mapping(keys: Mapping[str, fields.Field[Any]] | None = None, **how: Any) -> fields.Field[Any]:
    """With these keys, or with any."""
    if keys is None:
        return fields.Dict(error_messages=_must("a mapping"), **how)
    return fields.Nested(_Keys.from_dict(dict(keys)), error_messages=_must("a mapping"), **how)


_FIELD = {
    "name": _text(required=True),
    "type": _one_of(*rules.FIELD_TYPES, required=True),
    "description": _text(validate.Length(max=MAX_TEXT)),
    "required": _flag(),
    "default": _any(),
    "min_length": _whole(0, 2**31, allow_none=True),
    "max_length": _whole(0, 2**31, allow_none=True),
    "minimum": _number(allow_none=True),
    "maximum": _number(allow_none=True),
    "enum": _list(_any()),
}
_COMMON = {
    "name": _text(validate.Regexp(NAME, error=f"must be {NAMES}"), NAMES, required=True),
    "version": _text(validate.Regexp(VERSION, error=f"must be {VERSIONS}"), VERSIONS, required=True),
    "kind": _text(),
    "summary": _text(required=True),
    "licence": _text(required=True),
    "fields": _list(_mapping(_FIELD), least=1, required=True),
    "pool": _one_of(*POOLS),
    "inline": _flag(),
    "max_batch": _whole(1, MAX_BATCH),
    "units": _whole(0, MAX_UNITS),
    "explanation": _list(_one_of(*EXPLANATIONS)),
}
_ROWS = {
    **_COMMON,
    "labels": _labels(),
    "threshold_field": _text(allow_none=True),
    "below_threshold": _text(allow_none=True),
}
_GOLDEN = {
    "inputs": _mapping(required=True),
    "prediction": _text(required=True),
    "confidence": _number(0, 1, required=True),
}
_SEGMENT = {"start": _number(0, required=True), "end": _number(0, required=True)}
_GOLDEN_FILE = {
    "file": _text(required=True),
    "inputs": _mapping(),
    "segments": _list(_mapping(_SEGMENT), required=True),
}
_GOLDEN_DOCUMENT = {"file": _text(required=True), "inputs": _mapping(), "lines": _list(_text(), required=True)}
_OPTIONS: Mapping[str, Mapping[str, fields.Field[Any]]] = {
    "tabular": {},
    "text": {"field": _text()},
    "tokens": {"field": _text(), "max_tokens": _whole(1, 1 << 20)},
    "audio": {},
    "document": {"max_pages": _whole(1, 2**31, required=True), "max_pixels": _whole(1, 2**31, required=True)},
}


@functools.cache
def _schema(kind: str) -> ma.Schema:
    keys = _COMMON if kind in FILE_KINDS else _ROWS
    golden = {"audio": _GOLDEN_FILE, "document": _GOLDEN_DOCUMENT}.get(kind, _GOLDEN)
    # What a plug-in wants to know is its own matter.
    options = _mapping(_OPTIONS.get(kind), required=kind == "document")
    return _Keys.from_dict({**keys, "golden": _list(_mapping(golden), least=1, required=True), "options": options})()
