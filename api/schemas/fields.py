"""Fields that take a value as it is or refuse it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import marshmallow as ma
import orjson
from marshmallow import fields, validate

from inference.schema import StrictBoolean, StrictInteger, StrictNumber, StrictString

__all__ = [
    "BEST",
    "Events",
    "Explain",
    "Metadata",
    "QueryInteger",
    "QueryNumber",
    "StrictBoolean",
    "StrictInteger",
    "StrictNumber",
    "StrictString",
]

METADATA_BYTES = 4096
METADATA_LEVELS = 32
_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")


#: What `explain: true` loads as: the best that the model offers.
BEST = "best"


class Explain(fields.Field[str]):
    """false, true, "simple" or "shap"; loads as the level's name, BEST, or ""."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if value is True or value == "true":
            return BEST
        if value is False or value == "false":
            return ""
        if value in ("simple", "shap"):
            return str(value)
        raise ma.ValidationError("must be true, false, 'simple' or 'shap'")


class Metadata(fields.Dict):
    """Any JSON object of at most 4 kB and 32 levels, kept and handed back."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ma.ValidationError("must be an object")
        if _deeper(value, METADATA_LEVELS):
            raise ma.ValidationError(f"is nested more than {METADATA_LEVELS} levels deep")
        if (size := len(orjson.dumps(value))) > METADATA_BYTES:
            raise ma.ValidationError(f"exceeds {METADATA_BYTES} bytes as JSON: {size}")
        return value


class Events(fields.List[str]):
    """Some of these events, each once."""

    def __init__(self, known: Sequence[str], **kwargs: Any) -> None:
        item = StrictString(validate=validate.OneOf(list(known)))
        super().__init__(item, validate=[validate.Length(1), _each_once], **kwargs)


def _each_once(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ma.ValidationError("names an event twice")


class QueryInteger(fields.Integer):
    """A whole number in a query: ASCII digits and nothing else."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10):
            raise self.make_error("invalid")
        return int(value)


class QueryNumber(fields.Float):
    """A plain decimal number in a query."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if not (isinstance(value, str) and _DECIMAL.fullmatch(value)):
            raise self.make_error("invalid")
        return float(value)


def _deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested in each other more than `levels` deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and (levels == 0 or any(_deeper(item, levels - 1) for item in inner))
