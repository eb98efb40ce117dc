"""API keys of all tenants, for operators: what comes in, and what goes out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from access.tenants import MAX_NAME
from api.v1.schemas.admin import Pages
from api.v1.schemas.fields import StrictString
from api.v1.schemas.keys import ApiKey, NamedKey, allowed, lasting, narrowed


class IssuedKeysQuery(Pages):
    tenant = fields.String(validate=validate.Length(1, MAX_NAME), metadata={"description": "Only those of this one."})
    status = fields.String(
        load_default="open",
        validate=validate.OneOf(["open", "all"]),
        metadata={"description": "Those that open something, or also those that have expired or were revoked."},
    )


class NewIssuedKey(NamedKey):
    """Whose it is, what it is for, and what it may."""

    tenant = StrictString(
        required=True,
        validate=validate.Length(1, MAX_NAME),
        metadata={"description": "Whose it is: one that is there."},
    )
    scopes = allowed("What it may do; without it, all that a client needs.")
    models = narrowed("The only models that it may ask; without it, all.")
    networks = narrowed("Where it may be used from, in CIDR notation; without it, everywhere.")
    expires_in_s = lasting("For how many seconds it is good; without it, for ever.")


class IssuedKey(ApiKey):
    """What is known of any tenant's key; its secret is not."""

    tenant = fields.String(required=True, metadata={"description": "Whose it is"})
    tier = fields.String(required=True, metadata={"description": "The tier of that tenant"})
    revoked_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "Since when it is revoked; or null"}
    )


class IssuedKeys(Schema):
    """One page of keys."""

    keys = fields.List(fields.Nested(IssuedKey), required=True, metadata={"description": "Newest first"})
    next_cursor = fields.String(
        allow_none=True, required=True, metadata={"description": "Ask again with it as `cursor`; null on the last page"}
    )


class CreatedIssuedKey(IssuedKey):
    """A key, this once with its secret."""

    key = fields.String(required=True, metadata={"description": "The key itself, which is never shown again"})


class RevokedKey(IssuedKey):
    """A key that opens nothing any more."""

    was_revoked = fields.Boolean(required=True, metadata={"description": "Whether it was already"})
    own = fields.Boolean(required=True, metadata={"description": "Whether it is the key that asked"})
