"""What a caller may use, in the contract."""

from __future__ import annotations

from marshmallow import Schema, fields

from access.tiers import PRIORITIES


def _told(text: str) -> dict[str, str]:
    return {"description": text}


class Rate(Schema):
    """A bucket, which is full after a rest: each request takes from it, and so many come back in a minute."""

    name = fields.String(required=True, metadata=_told("Of what: `requests` or `units`"))
    per_minute = fields.Integer(required=True, metadata=_told("How many come back in a minute"))
    burst = fields.Integer(required=True, metadata=_told("How many it holds, and so how many may be used at once"))
    remaining = fields.Integer(required=True, metadata=_told("How many it holds now"))
    full_in_s = fields.Integer(required=True, metadata=_told("In how many seconds it is full, if nothing is used"))


class Used(Schema):
    """A number that may not be passed."""

    limit = fields.Integer(required=True, metadata=_told("How many there may be"))
    used = fields.Integer(required=True, metadata=_told("How many there are"))


class JobLimits(Schema):
    """What jobs may be."""

    running = fields.Nested(Used, required=True, metadata=_told("Those that workers run"))
    waiting = fields.Nested(Used, required=True, metadata=_told("Those that wait; more are refused"))
    max_expires_in_s = fields.Integer(required=True, metadata=_told("The largest `expires_in_s`"))
    max_timeout_s = fields.Integer(required=True, metadata=_told("The largest `timeout_s`"))
    priorities = fields.List(
        fields.String(), required=True, metadata=_told(f"Which `priority` they may have, of {', '.join(PRIORITIES)}")
    )


class UploadLimits(Schema):
    """What may be uploaded."""

    open_ = fields.Integer(data_key="open", required=True, metadata=_told("Places that are open at once"))
    bytes_ = fields.Integer(data_key="bytes", required=True, metadata=_told("Bytes in all of them"))


class Limits(Schema):
    """What you may use, and what is left of it."""

    tier = fields.String(required=True, metadata=_told("The tier whose limits these are"))
    rates = fields.List(fields.Nested(Rate), required=True, metadata=_told("None where the platform limits nobody"))
    jobs = fields.Nested(JobLimits, required=True, metadata=_told("What jobs may be"))
    uploads = fields.Nested(UploadLimits, required=True, metadata=_told("What may be uploaded"))
    unit_price = fields.Float(required=True, metadata=_told("What a unit costs"))
