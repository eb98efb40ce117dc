"""Bodies and queries that clients send."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.schemas.fields import (
    Events,
    Explain,
    Metadata,
    QueryInteger,
    QueryNumber,
    Rows,
    StrictBoolean,
    StrictInteger,
    StrictSchema,
    StrictString,
)
from jobs.job import Priority, Status
from jobs.uploads import TYPES
from webhooks.events import FOR_JOBS
from webhooks.receivers import MAX_URL

_NAME = validate.Length(1, 64)
_EXPLAIN = {"oneOf": [{"type": "boolean"}, {"type": "string", "enum": ["true", "false", "simple", "shap"]}]}


class Options(StrictSchema):
    explain = Explain(metadata={"description": "What to say about the why.", **_EXPLAIN})
    async_ = StrictBoolean(data_key="async", metadata={"description": "Take a ticket instead of waiting."})


class Predict(StrictSchema):
    model = StrictString(validate=_NAME)
    model_version = StrictString(validate=_NAME)
    inputs = fields.Raw(
        required=True,
        metadata={"type": "object", "description": "The model's fields; see its version's `input_schema`."},
    )
    options = fields.Nested(Options, load_default=dict)


class PredictQuery(StrictSchema):
    explain = Explain(metadata={"type": "string", "enum": ["true", "false", "simple", "shap"]})


class BatchOptions(StrictSchema):
    batch_size = StrictInteger(
        validate=validate.Range(1, 256),
        load_default=32,
        metadata={"description": "Inputs that run together at most; no more than the model's `max_batch`."},
    )
    return_errors = StrictString(validate=validate.OneOf(["individual", "fail_fast"]), load_default="fail_fast")


class Batch(StrictSchema):
    model = StrictString(validate=_NAME)
    model_version = StrictString(validate=_NAME)
    inputs = Rows(fields.Raw(metadata={"type": "object"}), required=True, validate=validate.Length(1))
    options = fields.Nested(BatchOptions, load_default=BatchOptions().load({}))


class JobOptions(StrictSchema):
    explain = Explain(metadata=_EXPLAIN)
    return_errors = StrictString(
        validate=validate.OneOf(["individual", "fail_fast"]),
        metadata={"description": "Of a file: a bad row is a line of the output (the default), or ends the job."},
    )
    format = StrictString(
        validate=validate.OneOf(["jsonl", "csv"]),
        metadata={"description": "Of a file whose type and name do not say it."},
    )


class NewJob(StrictSchema):
    model = StrictString(validate=_NAME)
    model_version = StrictString(validate=_NAME)
    inputs = fields.Raw(
        metadata={
            "oneOf": [{"type": "object"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}],
            "description": "One input object, or a list of them.",
        },
    )
    upload_id = StrictString(
        validate=validate.Length(1, 64), metadata={"description": "Instead of `inputs`: a file with a row for each."}
    )
    input_url = StrictString(
        validate=validate.Length(1, 4096),
        metadata={"description": "Instead of `inputs`: a signed URL of such a file in a bucket that is allowed."},
    )
    output_url = StrictString(
        validate=validate.Length(1, 4096),
        metadata={"description": "Of a file of rows: a signed URL that the output is PUT to as well."},
    )
    options = fields.Nested(JobOptions, load_default=dict)
    webhook_url = StrictString(
        validate=validate.Length(1, MAX_URL), metadata={"description": "To be called for this job."}
    )
    webhook_events = Events(FOR_JOBS, metadata={"description": "For what; without it, for the job's end."})
    priority = StrictString(validate=validate.OneOf(list(Priority)), load_default="normal")
    expires_in_s = StrictInteger(validate=validate.Range(1), metadata={"description": "Seconds it may take in all."})
    timeout_s = StrictInteger(validate=validate.Range(1), metadata={"description": "Seconds one attempt may run."})
    metadata = Metadata(load_default=dict)

    @validates_schema
    def _called_for_something(self, data: dict[str, Any], **_: Any) -> None:
        if "webhook_events" in data and "webhook_url" not in data:
            raise ValidationError({"webhook_events": ["is given without webhook_url"]})

    @validates_schema
    def _one_source(self, data: dict[str, Any], **_: Any) -> None:
        files = [name for name in ("upload_id", "input_url") if name in data]
        if len(files) > 1:
            raise ValidationError({"input_url": ["is given beside upload_id; there is one file to a job"]})
        if not files and "inputs" not in data:
            raise ValidationError({"inputs": ["is required, or upload_id or input_url instead"]})
        if not files and "output_url" in data:
            raise ValidationError({"output_url": ["is for files only"]})
        if not files:
            for name in ("return_errors", "format"):
                if name in data.get("options", {}):
                    raise ValidationError({"options": {name: ["is for files only"]}})


class NewUpload(StrictSchema):
    filename = StrictString(
        validate=validate.Regexp(r"[^\x00-\x1f\x7f]{1,255}\Z", error="must be 1 to 255 characters that can be seen"),
        metadata={"description": "For its ending."},
    )
    content_type = StrictString(required=True, validate=validate.OneOf(TYPES))
    size = StrictInteger(required=True, validate=validate.Range(1), metadata={"description": "Bytes."})
    sha256 = StrictString(validate=validate.Length(44, 64), metadata={"description": "In hex or base64."})


class Wait(StrictSchema):
    wait = QueryNumber(
        load_default=0.0, validate=validate.Range(0), metadata={"description": "Seconds to wait for the end."}
    )


class JobsQuery(StrictSchema):
    status = fields.String(validate=validate.OneOf(list(Status)))
    model = fields.String(validate=validate.Regexp(r"[A-Za-z0-9._-]{1,64}\Z", error="is not the name of a model"))
    created_after = fields.AwareDateTime(format="iso")
    created_before = fields.AwareDateTime(format="iso")
    limit = QueryInteger(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(validate=validate.Length(1, 64))


class PartsQuery(StrictSchema):
    after = QueryInteger(metadata={"description": "The last part seen."})
    limit = QueryInteger(load_default=100, validate=validate.Range(1, 1000))


class RetryQuery(StrictSchema):
    rows = fields.String(
        validate=validate.OneOf(["failed"]), metadata={"description": "Of a file: only the rows that have no answer."}
    )


class Nothing(StrictSchema):
    """No query parameters at all."""
