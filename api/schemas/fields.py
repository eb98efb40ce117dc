"""Fields that take a value as it is or refuse it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import marshmallow as ma
import orjson
from marshmallow import fields, validate

from inference.schema import StrictBoolean, StrictInteger, StrictNumber, StrictSchema, StrictString

__all__ = [
    "BEST",
    "Events",
    "Explain",
    "Metadata",
    "QueryInteger",
    "QueryNumber",
    "Rows",
    "StrictBoolean",
    "StrictInteger",
    "StrictNumber",
    "StrictSchema",
    "StrictString",
]

METADATA_BYTES = 4096
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
    """Any JSON object of at most 4 kB, kept and handed back."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ma.ValidationError("must be an object")
        if (size := len(orjson.dumps(value))) > METADATA_BYTES:
            raise ma.ValidationError(f"exceeds {METADATA_BYTES} bytes as JSON: {size}")
        return value


class Events(fields.List[str]):
    """Some of these events, each once."""

    def __init__(self, known: Sequence[str], **kwargs: Any) -> None:
        self._most = len(known)
        item = StrictString(validate=validate.OneOf(list(known)))
        super().__init__(item, validate=[validate.Length(1), _each_once], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, list) and len(value) > self._most:
            raise ma.ValidationError(f"has {len(value)} items, but there are only {self._most} events")
        return super()._deserialize(value, attr, data, **kwargs)


def _each_once(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ma.ValidationError("names an event twice")


class Rows(fields.List[Any]):
    """A list as it is; the model's own schema looks at its items, once it is known that they are not too many."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        return value


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
