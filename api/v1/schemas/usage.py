"""What was used: what is asked of it, and what we answer and tell."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import marshmallow as ma
from marshmallow import Schema, fields, validate

from access.tiers import PAST
from access.usage import BY
from api.v1.schemas.fields import StrictSchema

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PRICE = {
    "description": "At the price of a unit when it was accepted or answered, as a decimal number",
    "examples": ["0.0125"],
}


class QueryDay(fields.Date):
    """A day in a query."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dt.date:
        try:
            return dt.date.fromisoformat(value if _DAY.fullmatch(value) else "")
        except ValueError:
            raise ma.ValidationError("must be a day, such as 2026-01-31") from None


class UsageQuery(StrictSchema):
    """Which days, and how they are told apart."""

    from_ = QueryDay(
        data_key="from", metadata={"description": "The first day, in UTC; without it, the first of the month of `to`."}
    )
    to = QueryDay(metadata={"description": "The last day; without it, today."})
    by = fields.String(
        load_default="day",
        metadata={"description": f"By what it is told apart: some of {', '.join(BY)}, by commas."},
    )


class Used(Schema):
    """What was used in one day, by one model, and so on, as far as it is told apart."""

    day = fields.Date(metadata={"description": "In UTC"})
    model = fields.String(metadata={"description": "Which model answered"})
    version = fields.String(metadata={"description": "Which version of it"})
    kind = fields.String(metadata={"description": "`inline` for what was answered at once, or the kind of the jobs"})
    key = fields.String(metadata={"description": "The id of the API key"})
    calls = fields.Integer(required=True, metadata={"description": "Jobs completed, parts of files, and answers given"})
    units = fields.Integer(required=True, metadata={"description": "What they cost"})
    price = fields.String(required=True, metadata=_PRICE)


class Usage(Schema):
    """What a tenant used, in the order of `by`."""

    from_ = fields.Date(data_key="from", required=True, metadata={"description": "The first day"})
    to = fields.Date(required=True, metadata={"description": "The last day"})
    usage = fields.List(fields.Nested(Used), required=True, metadata={"description": "At most 10,000 rows"})


class QuotaData(Schema):
    """What a receiver is told of its tenant's month."""

    month = fields.String(required=True, metadata={"description": "In UTC, such as 2026-01"})
    units = fields.Integer(required=True, metadata={"description": "Used, or to be used by jobs that are not done"})
    monthly_units = fields.Integer(required=True, metadata={"description": "What the tier has for a month"})
    allowance_percent = fields.Integer(required=True, metadata={"description": "How much more may be used"})
    past_allowance = fields.String(
        required=True, validate=validate.OneOf(PAST), metadata={"description": "What happens after that"}
    )
    resets_at = fields.AwareDateTime(required=True, metadata={"description": "When the next month begins"})
