"""Keys of model.yaml, each with a sentence for what it may not be; kinds write theirs with these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from inference import faults, schema

Key = fields.Field[Any]

MAX_TEXT = 1000
SHORT = validate.Length(max=MAX_TEXT, error=f"must have at most {MAX_TEXT} characters")
FILLED = validate.And(validate.Regexp(r"(?s).*\S", error="must not be blank"), SHORT)


class Keys(schema.StrictSchema):
    """Says in its own words what is no mapping, and which keys there are."""

    def __init__(self, **how: Any) -> None:
        super().__init__(unknown=ma.RAISE, **how)
        self.error_messages = {"type": "must be a mapping", "unknown": f"{faults.UNKNOWN}{', '.join(self.fields)}"}


def _must(be: str) -> dict[str, Any]:
    return {"required": "is missing", "null": "must not be empty", "invalid": f"must be {be}", "type": f"must be {be}"}


def text(rule: Any = FILLED, be: str = "a text", **how: Any) -> Key:
    return schema.StrictString(validate=rule, error_messages=_must(be), **how)


def named(pattern: str, be: str) -> Key:
    """A required text of this form, which `be` describes."""
    return text(validate.Regexp(pattern, error=f"must be {be}"), be, required=True)


def short() -> Key:
    """A text of at most MAX_TEXT characters, or none."""
    return text(SHORT)


def one_of(*allowed: str, **how: Any) -> Key:
    return text(validate.OneOf(allowed, error=f"must be one of {', '.join(allowed)}"), **how)


def whole(least: int, most: int, **how: Any) -> Key:
    rule = validate.Range(least, most, error=f"must be a whole number from {least} to {most}")
    return schema.StrictInteger(validate=rule, error_messages=_must("a whole number"), **how)


def number(least: float | None = None, most: float | None = None, **how: Any) -> Key:
    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    rule = validate.Range(least, most, error=f"must be a number {limits}")
    return schema.StrictNumber(validate=rule, error_messages=_must("a number"), **how)


def flag() -> Key:
    return schema.StrictBoolean(error_messages=_must("true or false"))


def listed(of: Key, *, least: int = 0, missing: str = "is missing", **how: Any) -> Key:
    wanted = validate.Length(least, error="must not be empty" if least == 1 else f"must have at least {least} entries")
    return fields.List(of, validate=wanted, error_messages={**_must("a list"), "required": missing}, **how)


def anything() -> Key:
    return fields.Raw(allow_none=True)


def by_name(of: Key) -> Key:
    """A mapping with such a value under each name."""
    return fields.Dict(keys=text(), values=of, error_messages=_must("a mapping"))


def mapping(keys: Mapping[str, Key] | None = None, **how: Any) -> Key:
    """With these keys, or with any."""
    if keys is None:
        return fields.Dict(error_messages=_must("a mapping"), **how)
    return fields.Nested(Keys.from_dict(dict(keys)), error_messages=_must("a mapping"), **how)
