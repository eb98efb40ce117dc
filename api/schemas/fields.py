"""Fields that take a value as it is or refuse it."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields

from inference.schema import StrictBoolean, StrictInteger, StrictNumber, StrictString

__all__ = ["Explain", "Metadata", "StrictBoolean", "StrictInteger", "StrictNumber", "StrictString"]

METADATA_BYTES = 4096


class Explain(fields.Field[str]):
    """false, true, "simple" or "shap"; loads as the level's name, or ""."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if value is True or value == "true":
            return "shap"
        if value is False or value == "false":
            return ""
        if value in ("simple", "shap"):
            return str(value)
        raise ma.ValidationError("must be true, false, 'simple' or 'shap'")


class Metadata(fields.Dict):
    """Any JSON object of at most 4 kB, kept and handed back."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        import orjson

        if not isinstance(value, dict):
            raise ma.ValidationError("must be an object")
        if (size := len(orjson.dumps(value))) > METADATA_BYTES:
            raise ma.ValidationError(f"exceeds {METADATA_BYTES} bytes as JSON: {size}")
        return value
