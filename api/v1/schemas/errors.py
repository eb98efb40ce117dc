"""What every error looks like."""

from __future__ import annotations

from http import HTTPStatus

import marshmallow as ma
from marshmallow import Schema, fields, validate

from api import errors as answered
from core import errors
from jobs.job import Ended

#: Every code that a client may see, of a request or of a job. What stops a start is seen by operators alone; that
#: nothing is acceptable, no version before 2 says.
CODES = sorted(
    {kind.code for kind in errors.tree() if kind is not errors.SettingsInvalid}
    | {code for status, code in answered.CODES.items() if status != HTTPStatus.NOT_ACCEPTABLE}
    | set(Ended)
)


class Issue(Schema):
    """One fault, with what was received or allowed where that helps."""

    class Meta:
        unknown = ma.INCLUDE

    field = fields.String(required=True, metadata={"description": "Where it is: `inputs.0.text`, or `body`"})
    issue = fields.String(required=True, metadata={"description": "What is wrong with it, and what is allowed"})


class Fault(Schema):
    """Why something went wrong."""

    code = fields.String(
        required=True,
        validate=validate.OneOf(CODES),
        metadata={"description": "Stable, for programs. There may be more of them one day: know others by the status"},
    )
    message = fields.String(required=True, metadata={"description": "A sentence for people; may change"})
    details = fields.Dict(metadata={"description": "Facts about it: the `field` and the `issue` of a bad input, …"})


class ItemFault(Fault):
    """Why an item of a batch was not answered."""

    details = fields.Dict(required=True, metadata={"description": "The first fault: `field`, `issue`, …"})
    more = fields.Integer(metadata={"description": "How many faults there are besides"})


class Error(ItemFault):
    """Why a request was not answered."""

    errors = fields.List(
        fields.Nested(Issue),
        metadata={
            "description": f"With several faults, the first {errors.MAX_FAULTS}",
            "maxItems": errors.MAX_FAULTS,
        },
    )
    links = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={
            "description": "Where to read on: `schema`, the version that says what it takes; `model`, which has the "
            "versions; or `models`, all there are"
        },
    )
    request_id = fields.String(required=True, metadata={"description": "Also in X-Request-ID and in our log"})
    timestamp = fields.AwareDateTime(required=True, metadata={"description": "When it was answered"})


class Envelope(Schema):
    """The body of every answer that is an error."""

    error = fields.Nested(Error, required=True, metadata={"description": "What went wrong"})
