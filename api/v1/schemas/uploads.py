"""What we answer about files that are handed in."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from jobs.content_types import TYPES


class Upload(Schema):
    """A place for one file, and how to send it there."""

    upload_id = fields.String(required=True, metadata={"description": "To make a job of the file: `upl_…`"})
    content_type = fields.String(
        required=True,
        validate=validate.OneOf(TYPES),
        metadata={"description": "What the file is taken for, whichever name of the type was said"},
    )
    url = fields.String(required=True, metadata={"description": "POST the form here, as multipart/form-data"})
    fields_ = fields.Dict(
        data_key="fields",
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "The form: these first, as they are, and then the file, as `file`"},
    )
    expires_at = fields.AwareDateTime(required=True, metadata={"description": "Until when the place is open"})
    request_id = fields.String(required=True, metadata={"description": "Also in X-Request-ID and in our log"})
