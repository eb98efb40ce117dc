"""What a caller may use, in the contract."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from access.tiers import PAST, PRIORITIES


def _told(text: str) -> dict[str, str]:
    return {"description": text}


class Rate(Schema):
    """A bucket, which is full after a rest: each request takes from it, and so many come back in a minute."""

    name = fields.String(required=True, metadata=_told("Of what: `requests` or `units`"))
    per_minute = fields.Integer(required=True, metadata=_told("How many come back in a minute"))
    burst = fields.Integer(required=True, metadata=_told("How many it holds, and so how many may be used at once"))
    remaining = fields.Integer(required=True, metadata=_told("How many it holds now"))
    full_in_s = fields.Integer(required=True, metadata=_told("In how many seconds it is full, if nothing is used"))


class InUse(Schema):
    """A number that may not be passed."""

    limit = fields.Integer(required=True, metadata=_told("How many there may be"))
    used = fields.Integer(required=True, metadata=_told("How many there are"))


class JobLimits(Schema):
    """What jobs may be."""

    running = fields.Nested(InUse, required=True, metadata=_told("Those that workers run"))
    waiting = fields.Nested(InUse, required=True, metadata=_told("Those that wait; more are refused"))
    max_expires_in_s = fields.Integer(required=True, metadata=_told("The largest `expires_in_s`"))
    max_timeout_s = fields.Integer(required=True, metadata=_told("The largest `timeout_s`"))
    priorities = fields.List(
        fields.String(), required=True, metadata=_told(f"Which `priority` they may have, of {', '.join(PRIORITIES)}")
    )


class UploadLimits(Schema):
    """What may be uploaded."""

    open_ = fields.Integer(data_key="open", required=True, metadata=_told("Places that are open at once"))
    bytes_ = fields.Integer(data_key="bytes", required=True, metadata=_told("Bytes in all of them"))


class Month(Schema):
    """The units of a calendar month, in UTC."""

    units = fields.Integer(required=True, metadata=_told("How many there are"))
    allowance = fields.Integer(required=True, metadata=_told("How many may be used beyond them"))
    used = fields.Integer(required=True, metadata=_told("How many are used, or will be by jobs that are not done"))
    resets_at = fields.AwareDateTime(required=True, metadata=_told("When a new month begins"))
    then = fields.String(
        required=True,
        validate=validate.OneOf(PAST),
        metadata=_told("What happens when the allowance is used as well"),
    )


class Conduct(Schema):
    """How somebody is held back for repeated errors."""

    level = fields.String(required=True, metadata=_told("`warned`, `slowed` or `blocked`"))
    until = fields.AwareDateTime(required=True, metadata=_told("When it is a level less, if no errors follow"))
    reason = fields.String(required=True, metadata=_told("What for"))


class Limits(Schema):
    """What you may use, and what is left of it."""

    tier = fields.String(required=True, metadata=_told("The tier whose limits these are"))
    rates = fields.List(fields.Nested(Rate), required=True, metadata=_told("None where the platform limits nobody"))
    jobs = fields.Nested(JobLimits, required=True, metadata=_told("What jobs may be"))
    uploads = fields.Nested(UploadLimits, required=True, metadata=_told("What may be uploaded"))
    month = fields.Nested(Month, required=True, allow_none=True, metadata=_told("null where any number may be used"))
    conduct = fields.Nested(Conduct, required=True, allow_none=True, metadata=_told("null for who is not held back"))
    unit_price = fields.Float(required=True, metadata=_told("What a unit costs"))
