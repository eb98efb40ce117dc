"""Bodies and queries that clients send."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.fields import (
    Explain,
    Metadata,
    QueryInteger,
    QueryNumber,
    StrictBoolean,
    StrictInteger,
    StrictString,
)
from jobs.job import Priority, Status

_NAME = validate.Length(1, 64)
_EXPLAIN = {"oneOf": [{"type": "boolean"}, {"type": "string", "enum": ["true", "false", "simple", "shap"]}]}


class Options(Schema):
    explain = Explain(metadata={"description": "What to say about the why.", **_EXPLAIN})
    async_ = StrictBoolean(data_key="async", metadata={"description": "Take a ticket instead of waiting."})


class Predict(Schema):
    model = StrictString(validate=_NAME)
    model_version = StrictString(validate=_NAME)
    inputs = fields.Raw(
        required=True,
        metadata={"type": "object", "description": "The model's fields; see its version's `input_schema`."},
    )
    options = fields.Nested(Options, load_default=dict)


class PredictQuery(Schema):
    explain = Explain(metadata={"type": "string", "enum": ["true", "false", "simple", "shap"]})


class BatchOptions(Schema):
    batch_size = StrictInteger(validate=validate.Range(1, 256), load_default=32)
    return_errors = StrictString(validate=validate.OneOf(["individual", "fail_fast"]), load_default="fail_fast")


class Batch(Schema):
    model = StrictString(validate=_NAME)
    model_version = StrictString(validate=_NAME)
    inputs = fields.List(
        fields.Raw(allow_none=True, metadata={"type": "object"}), required=True, validate=validate.Length(1)
    )
    options = fields.Nested(BatchOptions, load_default=BatchOptions().load({}))


class JobOptions(Schema):
    explain = Explain(metadata=_EXPLAIN)


class NewJob(Schema):
    model = StrictString(validate=_NAME)
    model_version = StrictString(validate=_NAME)
    inputs = fields.Raw(
        required=True,
        metadata={
            "oneOf": [{"type": "object"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}],
            "description": "One input object, or a list of them.",
        },
    )
    options = fields.Nested(JobOptions, load_default=dict)
    priority = StrictString(validate=validate.OneOf(list(Priority)), load_default="normal")
    expires_in_s = StrictInteger(validate=validate.Range(1), metadata={"description": "Seconds it may take in all."})
    timeout_s = StrictInteger(validate=validate.Range(1), metadata={"description": "Seconds one attempt may run."})
    metadata = Metadata(load_default=dict)


class Wait(Schema):
    wait = QueryNumber(
        load_default=0.0, validate=validate.Range(0), metadata={"description": "Seconds to wait for the end."}
    )


class JobsQuery(Schema):
    status = fields.String(validate=validate.OneOf(list(Status)))
    model = fields.String(validate=validate.Regexp(r"[A-Za-z0-9._-]{1,64}\Z", error="is not the name of a model"))
    created_after = fields.AwareDateTime(format="iso")
    created_before = fields.AwareDateTime(format="iso")
    limit = QueryInteger(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(validate=validate.Length(1, 64))


class Nothing(Schema):
    """No query parameters at all."""
