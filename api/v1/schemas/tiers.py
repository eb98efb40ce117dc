"""Tiers, for operators: what comes in, and what goes out."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from access import tiers
from access.tiers import LIMITS, PAST, PRIORITIES
from api.v1.schemas.fields import Body, StrictInteger, StrictNumber, StrictString

#: Of which there may be parts; all others are whole numbers.
PARTS = ("pace", "unit_price")
_PRIORITIES = {"description": "Which priorities jobs may have; `normal` is among them."}
_PAST = {"description": "What happens to who has used the monthly units and the allowance."}


def _given() -> dict[str, fields.Field[Any]]:
    """A field for each number that a tier has, within its bounds."""
    return {
        name: (StrictNumber if name in PARTS else StrictInteger)(
            validate=validate.Range(limit.least, limit.most), metadata={"description": limit.meaning}
        )
        for name, limit in LIMITS.items()
    }


def _told() -> dict[str, fields.Field[Any]]:
    return {
        name: (fields.Float if name in PARTS else fields.Integer)(
            required=True, metadata={"description": limit.meaning}
        )
        for name, limit in LIMITS.items()
    }


class _Limits(Body.from_dict(_given())):  # type: ignore[misc]
    priorities = fields.List(
        StrictString(validate=validate.OneOf(PRIORITIES)),
        validate=validate.Length(1, len(PRIORITIES)),
        metadata=_PRIORITIES,
    )
    past_allowance = StrictString(validate=validate.OneOf(PAST), metadata=_PAST)


class NewTier(_Limits):
    """A copy of another tier, but for what is given."""

    name = StrictString(
        required=True,
        validate=validate.Length(1, tiers.MAX_NAME),
        metadata={"description": "Visible ASCII characters, by which tenants are given it."},
    )
    like = StrictString(
        load_default=tiers.DEFAULT,
        validate=validate.Length(1, tiers.MAX_NAME),
        metadata={"description": "The tier that it is a copy of."},
    )


class ChangedTier(_Limits):
    """What is to be otherwise; the rest stays as it is."""

    @validates_schema
    def _something(self, data: dict[str, object], **_: object) -> None:
        if not data:
            raise ValidationError("must say what is to change, such as max_pending")


class Tier(Schema.from_dict(_told())):  # type: ignore[misc]
    """What a class of tenants may do."""

    name = fields.String(required=True, metadata={"description": "Its name"})
    priorities = fields.List(fields.String(), required=True, metadata=_PRIORITIES)
    past_allowance = fields.String(required=True, validate=validate.OneOf(PAST), metadata=_PAST)


class Tiers(Schema):
    """What there is."""

    tiers = fields.List(fields.Nested(Tier), required=True, metadata={"description": "By name"})
