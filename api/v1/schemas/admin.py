"""What operators ask and see of tenants: units, changes, and who is held back."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from access.adjustments import MAX_REASON, MOST_UNITS
from access.ladder import Level
from access.tenants import MAX_NAME
from access.tiers import DEFAULT
from access.tiers import MAX_NAME as MAX_TIER
from api.v1.schemas.fields import Body, QueryInteger, StrictInteger, StrictSchema, StrictString, Whole

_NEXT = {"description": "Ask again with it as `cursor`; null on the last page"}
_SEEN = Whole(r"[^\x00-\x1f\x7f]{1,200}", error="must be 1 to 200 characters that can be seen")
_TIER = validate.Length(1, MAX_TIER)
_NAME = validate.Length(1, MAX_NAME)
_UNITS = {"description": "How many more for this month; less than 0 for how many less."}
_BOTH_WAYS = validate.Range(-MOST_UNITS, MOST_UNITS)


class Pages(StrictSchema):
    """Which page of a list."""

    limit = QueryInteger(
        load_default=20, validate=validate.Range(1, 100), metadata={"description": "How many at a time."}
    )
    cursor = fields.String(
        validate=validate.Length(1, 100), metadata={"description": "The `next_cursor` of the page before."}
    )


class NewTenant(Body):
    """Who it is, and what it may."""

    name = StrictString(
        required=True, validate=_NAME, metadata={"description": "By which everybody knows it; it never changes."}
    )
    tier = StrictString(load_default=DEFAULT, validate=_TIER, metadata={"description": "What it may do."})


class ChangedTenant(Body):
    """What it may from now on."""

    tier = StrictString(required=True, validate=_TIER, metadata={"description": "What it may do."})


class Tenant(Schema):
    """Who owns keys, jobs and files."""

    name = fields.String(required=True, metadata={"description": "By which everybody knows it"})
    tier = fields.String(required=True, metadata={"description": "What it may do"})
    keys = fields.Integer(required=True, metadata={"description": "How many of its keys open something"})
    created_at = fields.AwareDateTime(required=True, metadata={"description": "When it was made"})


class TenantMonth(Schema):
    """Units of the calendar month, in UTC."""

    units = fields.Integer(
        allow_none=True, required=True, metadata={"description": "What its tier has; null for any number"}
    )
    most = fields.Integer(
        allow_none=True, required=True, metadata={"description": "The same with the allowance; null for any number"}
    )
    used = fields.Integer(
        required=True,
        validate=validate.Range(min=-(2**63)),
        metadata={"description": "Used, or to be used by jobs that are not done, less what was given"},
    )
    resets_at = fields.AwareDateTime(required=True, metadata={"description": "When a new month begins"})


class TenantInFull(Tenant):
    """A tenant, with what it has used this month."""

    month = fields.Nested(TenantMonth, required=True, metadata={"description": "Within a second"})


class Tenants(Schema):
    """One page of tenants."""

    tenants = fields.List(fields.Nested(Tenant), required=True, metadata={"description": "By name"})
    next_cursor = fields.String(allow_none=True, required=True, metadata=_NEXT)


class AdjustmentsQuery(Pages):
    tenant = fields.String(required=True, validate=_NAME, metadata={"description": "Those of this tenant."})


class NewAdjustment(Body):
    """Units for a tenant, beside those of its tier."""

    tenant = StrictString(required=True, validate=_NAME, metadata={"description": "Whose they are."})
    units = StrictInteger(required=True, validate=_BOTH_WAYS, metadata=_UNITS)
    reason = StrictString(
        required=True, validate=validate.Length(1, MAX_REASON), metadata={"description": "For whoever asks later."}
    )


class Adjustment(Schema):
    """Units that a tenant was given, or that were taken."""

    id = fields.String(required=True, metadata={"description": "Its id"})
    tenant = fields.String(required=True, metadata={"description": "Whose they are"})
    month = fields.String(required=True, metadata={"description": "In UTC, such as 2026-01"})
    units = fields.Integer(required=True, validate=_BOTH_WAYS, metadata=_UNITS)
    reason = fields.String(required=True, metadata={"description": "Why"})
    created_at = fields.AwareDateTime(required=True, metadata={"description": "When they were given"})


class Adjustments(Schema):
    """One page of what a tenant was given."""

    adjustments = fields.List(fields.Nested(Adjustment), required=True, metadata={"description": "Newest first"})
    next_cursor = fields.String(allow_none=True, required=True, metadata=_NEXT)


class ChangesQuery(Pages):
    tenant = fields.String(validate=_NAME, metadata={"description": "Only what is this tenant's."})
    subject = fields.String(
        validate=_SEEN, metadata={"description": "Only what was done to this, as the log has it: `key:<id>` …"}
    )
    actor = fields.String(validate=_SEEN, metadata={"description": "Only what was done by this one."})
    action = fields.String(validate=_SEEN, metadata={"description": "Only this, such as `key.revoke`."})


class Change(Schema):
    """What somebody changed."""

    id = fields.Integer(required=True, metadata={"description": "Of two changes the later one has the greater"})
    at = fields.AwareDateTime(required=True, metadata={"description": "When"})
    actor = fields.String(
        required=True,
        metadata={
            "description": "Who: `key:<id>`; `cli:<user>` at the machine; `canary judge` and `platform` themselves"
        },
    )
    address = fields.String(
        allow_none=True, required=True, metadata={"description": "Where the request came from; null at the machine"}
    )
    tenant = fields.String(
        allow_none=True, required=True, metadata={"description": "Whose it is; null for what is no tenant's"}
    )
    action = fields.String(required=True, metadata={"description": "What was done, such as `key.create`"})
    subject = fields.String(
        required=True,
        metadata={"description": "To what: `key:<id>`, `tenant:<name>`, `tier:<name>`, `address:<…>`, `model:<name>`"},
    )
    before = fields.Dict(allow_none=True, required=True, metadata={"description": "What was, as far as it changed"})
    after = fields.Dict(allow_none=True, required=True, metadata={"description": "What is since then"})


class Changes(Schema):
    """One page of the audit log."""

    changes = fields.List(fields.Nested(Change), required=True, metadata={"description": "Newest first"})
    next_cursor = fields.String(allow_none=True, required=True, metadata=_NEXT)


class Block(Schema):
    """Somebody who is held back."""

    subject = fields.String(required=True, metadata={"description": "`key:<id>`, or `address:<network>`"})
    tenant = fields.String(allow_none=True, required=True, metadata={"description": "Whose key it is, or null"})
    level = fields.String(
        required=True,
        validate=validate.OneOf([level.word for level in Level]),
        metadata={"description": "How far; one level less each time that its time is over"},
    )
    reason = fields.String(
        required=True,
        metadata={"description": "`errors`, `scanning`, `surge`; there may be more of these one day"},
    )
    since = fields.AwareDateTime(required=True, metadata={"description": "When the last step was taken"})
    until = fields.AwareDateTime(required=True, metadata={"description": "When this level is over"})


class Blocks(Schema):
    """Everybody who is held back."""

    blocks = fields.List(fields.Nested(Block), required=True, metadata={"description": "Longest first"})
