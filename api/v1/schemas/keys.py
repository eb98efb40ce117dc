"""API keys: what comes in, and what goes out."""

from __future__ import annotations

from marshmallow import Schema, ValidationError, fields, validate

from access import bounds, derived
from access.keys import SCOPES
from access.tenants import MAX_NAME
from api.v1.schemas.fields import Body, StrictInteger, StrictString

_SCOPES = sorted(SCOPES)
_MOST = validate.Length(1, bounds.MOST)


def _each_once(given: list[str]) -> None:
    if len(set(given)) < len(given):
        raise ValidationError("names one of them twice")


def _told(text: str) -> dict[str, str]:
    return {"description": text}


def allowed(told: str) -> fields.List[str]:
    return fields.List(
        StrictString(validate=validate.OneOf(_SCOPES)),
        validate=[validate.Length(1, len(_SCOPES)), _each_once],
        metadata=_told(told),
    )


def narrowed(told: str) -> fields.List[str]:
    """To some models, or to some networks."""
    return fields.List(StrictString(), validate=[_MOST, _each_once], metadata=_told(told))


def lasting(told: str) -> StrictInteger:
    return StrictInteger(validate=validate.Range(1, derived.MAX_LIFE_S), metadata=_told(told))


class NamedKey(Body):
    """A new key."""

    name = StrictString(required=True, validate=validate.Length(1, MAX_NAME), metadata=_told("For people."))


class NewApiKey(NamedKey):
    """What it is for, and what it may: at most what your own may."""

    scopes = allowed("What it may do; without it, all that a client's key may and yours does.")
    models = narrowed("The only models that it may ask; without it, those of your own key.")
    networks = narrowed("Where it may be used from, in CIDR notation; without it, as your own key.")
    expires_in_s = lasting("For how many seconds it is good; without it, as long as your own key.")


class RotatedApiKey(Body):
    """How long the old key goes on beside the new one."""

    overlap_s = StrictInteger(
        load_default=86_400,
        validate=validate.Range(0, derived.MAX_OVERLAP_S),
        metadata={"description": "How many seconds the old key is good for yet."},
    )


class ApiKey(Schema):
    """What is known of a key; its secret is not."""

    id = fields.String(required=True, metadata={"description": "The 12 digits after `cck_`"})
    name = fields.String(required=True, metadata={"description": "A name for people"})
    scopes = fields.List(fields.String(), required=True, metadata={"description": "What it may do"})
    models = fields.List(
        fields.String(), allow_none=True, required=True, metadata={"description": "The only models it may ask; or null"}
    )
    networks = fields.List(
        fields.String(), allow_none=True, required=True, metadata={"description": "Where it may be used from; or null"}
    )
    created_at = fields.AwareDateTime(required=True, metadata={"description": "When it was made"})
    expires_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "Until when it is good; null for ever"}
    )
    last_used_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "The minute in which it was used last"}
    )
    rotated_to = fields.String(
        allow_none=True, required=True, metadata={"description": "The id of the key in its place"}
    )


class ApiKeys(Schema):
    """Your tenant's keys."""

    keys = fields.List(fields.Nested(ApiKey), required=True, metadata={"description": "Oldest first"})


class CreatedApiKey(ApiKey):
    """A key, this once with its secret."""

    key = fields.String(required=True, metadata={"description": "The key itself, which is never shown again"})
