"""Fields that take a value as it is or refuse it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import marshmallow as ma
import orjson
from marshmallow import fields, validate

from inference.promise import EXPLANATIONS
from inference.schema import StrictBoolean, StrictInteger, StrictNumber, StrictSchema, StrictString
from serving.inputs import BEST

__all__ = [
    "LEVELS",
    "Body",
    "Events",
    "Explain",
    "Metadata",
    "Moment",
    "QueryInteger",
    "QueryMoment",
    "QueryNumber",
    "Rows",
    "StrictBoolean",
    "StrictInteger",
    "StrictNumber",
    "StrictSchema",
    "StrictString",
    "Truth",
    "Whole",
]

METADATA_BYTES = 4096
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")


#: A space in the place of a zone's sign: in a query, that is what an unescaped plus means.
_UNESCAPED = re.compile(r"([T ][0-9:.,]+) ([0-9]{2}:?[0-9]{2})", re.IGNORECASE)

#: What `explain` may be, as text.
LEVELS = ("true", "false", *EXPLANATIONS)


class Body(StrictSchema):
    """A JSON object of which there is no more than this."""

    class Meta:
        unknown = ma.RAISE


class Whole(validate.Regexp):
    """The whole text must match a pattern that reads the same in Python and in ECMA-262, which the contract speaks.

    In Python `$` would let a line end pass; `fullmatch` does not.
    """

    def __init__(self, pattern: str, *, error: str) -> None:
        self._whole = re.compile(f"^{pattern}$")
        super().__init__(self._whole, error=error)

    def __call__(self, value: str) -> str:  # type: ignore[override]
        if self._whole.fullmatch(value) is None:
            raise ma.ValidationError(self._format_error(value))
        return value


class Explain(fields.Field[str]):
    """true, false, or a level; loads as the level's name, BEST, or ""."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        # Libraries of Python write True into a query.
        if value is True or value in ("true", "True"):
            return BEST
        if value is False or value in ("false", "False"):
            return ""
        if value in EXPLANATIONS:
            return str(value)
        raise ma.ValidationError(f"must be true, false or one of: {', '.join(EXPLANATIONS)}")


class Level(Explain):
    """The same where a level is what is asked for: not false."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        found = super()._deserialize(value, attr, data, **kwargs)
        if not found:
            raise ma.ValidationError(f"must be true or one of: {', '.join(EXPLANATIONS)}")
        return found


class Truth(fields.Field[str | float]):
    """A label or a number."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | float:
        if isinstance(value, str):
            return str(StrictString(validate=validate.Length(1, 200)).deserialize(value))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ma.ValidationError("must be a label or a number")
        return float(StrictNumber().deserialize(value))


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
    """A whole number in a query: ASCII digits, and nothing else but a minus."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not (isinstance(value, str) and _WHOLE.fullmatch(value)):
            raise self.make_error("invalid")
        return int(value)


class QueryNumber(fields.Float):
    """A plain decimal number in a query."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if not (isinstance(value, str) and _DECIMAL.fullmatch(value)):
            raise self.make_error("invalid")
        return float(value)


class Moment(fields.AwareDateTime):
    """A date and time with a zone (RFC 3339)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)


class QueryMoment(Moment):
    """The same in a query, where the plus of a zone may have been sent as it is, and then arrives as a space."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        said = _UNESCAPED.fullmatch(value[10:]) if isinstance(value, str) else None
        return super()._deserialize(f"{value[:10]}{said[1]}+{said[2]}" if said else value, attr, data, **kwargs)
