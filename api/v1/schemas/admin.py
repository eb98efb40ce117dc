"""What operators see of callers."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from access.ladder import Level


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
