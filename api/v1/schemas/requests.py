"""What clients hand in, and how they ask for what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from api.v1.schemas.fields import (
    Body,
    Events,
    Metadata,
    QueryInteger,
    QueryMoment,
    QueryNumber,
    StrictBoolean,
    StrictInteger,
    StrictSchema,
    StrictString,
    Truth,
    Whole,
)
from api.v1.schemas.predict import INPUT, ROW, Explaining, OfModel
from jobs import content_types
from jobs.job import Priority, Status
from webhooks.events import FOR_JOBS
from webhooks.receivers import MAX_URL


class JobOptions(Explaining):
    """How to answer, and how to read a file."""

    return_errors = StrictString(
        validate=validate.OneOf(["individual", "fail_fast"]),
        metadata={
            "description": "Of a file or a list. `individual`, the default of a file: a bad input has its error in its "
            "place. `fail_fast`, the default of a list: it ends the job, or a list is refused."
        },
    )
    format = StrictString(
        validate=validate.OneOf(["jsonl", "csv"]),
        metadata={"description": "Of a file whose type and name do not say how its rows are written."},
    )


class NewJob(OfModel):
    """Inputs, or a file of them: exactly one of `inputs`, `upload_id` and `input_url`; a model that takes a whole file
    may want `inputs` beside it."""

    inputs = fields.Raw(
        metadata={
            "oneOf": [ROW, {"type": "array", "minItems": 1, "items": ROW}],
            "description": f"One input, or a list of them. {INPUT}",
        },
    )
    upload_id = StrictString(
        validate=validate.Length(1, 64),
        metadata={"description": "Instead of `inputs`: a file that was uploaded, with an input on each row."},
    )
    input_url = StrictString(
        validate=validate.Length(1, 4096),
        metadata={"description": "Instead of `inputs`: a signed URL of such a file in a bucket that is allowed."},
    )
    output_url = StrictString(
        validate=validate.Length(1, 4096),
        metadata={"description": "Of a file of rows: a signed URL that the output is PUT to as well."},
    )
    options = fields.Nested(JobOptions, load_default=dict, metadata={"description": "How to answer."})
    webhook_url = StrictString(
        validate=validate.Length(1, MAX_URL), metadata={"description": "To be called for this job."}
    )
    webhook_events = Events(FOR_JOBS, metadata={"description": "For what; without it, for the job's end."})
    priority = StrictString(
        validate=validate.OneOf(list(Priority)),
        load_default="normal",
        metadata={
            "description": "`high` is as if it had come 5 s earlier, `low` 60 s later; your tier says which are yours."
        },
    )
    expires_in_s = StrictInteger(
        validate=validate.Range(1),
        metadata={"description": "Seconds it may take in all; your tier has a largest value."},
    )
    timeout_s = StrictInteger(validate=validate.Range(1), metadata={"description": "Seconds one attempt may run."})
    metadata = Metadata(
        load_default=dict, metadata={"description": "Anything of up to 4 kB as JSON: kept, and handed back."}
    )

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
            options = data.get("options", {})
            if "format" in options:
                raise ValidationError({"options": {"format": ["is for files only"]}})
            if "return_errors" in options and not isinstance(data["inputs"], list):
                raise ValidationError({"options": {"return_errors": ["is for files and lists of inputs only"]}})


class NewVersion(Body):
    """A model's bundle that was uploaded, to be published."""

    model = StrictString(
        required=True,
        metadata={"description": "The `name` that its model.yaml says."},
    )
    version = StrictString(
        required=True,
        metadata={"description": "The `version` that its model.yaml says; what is published never changes."},
    )
    upload_id = StrictString(
        required=True,
        validate=validate.Length(1, 64),
        metadata={"description": "The bundle: a tar of plain files, uploaded as `application/x-tar`."},
    )
    stable = StrictBoolean(
        load_default=False,
        metadata={
            "description": "Whether it answers from now on when nobody asks for a version. A model's first one always "
            "does."
        },
    )


class NewUpload(Body):
    """What will be uploaded."""

    filename = StrictString(
        validate=Whole(r"[^\x00-\x1f\x7f]{1,255}", error="must be 1 to 255 characters that can be seen"),
        metadata={"description": "Its ending says how rows are written, and the type where `content_type` does not."},
    )
    content_type = StrictString(
        required=True,
        metadata={
            "enum": list(content_types.TYPES),
            "description": "What the file is. Other names of these types are understood too, such as `audio/x-wav` or "
            "`text/csv; charset=utf-8`; the answer says which one it was taken for.",
        },
    )
    size = StrictInteger(required=True, validate=validate.Range(1), metadata={"description": "Its bytes."})
    sha256 = StrictString(
        validate=validate.Length(44, 64), metadata={"description": "Its digest, in hex or base64, if it is known."}
    )

    @post_load
    def _canonical(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        kind = content_types.canonical(data["content_type"], data.get("filename", ""))
        if kind is None:
            raise ValidationError({"content_type": [f"must be one of: {', '.join(content_types.TYPES)}"]})
        return {**data, "content_type": kind}


class Feedback(Body):
    """What turned out to be true."""

    truth = Truth(
        required=True,
        metadata={
            "description": "What the job should have answered: one of the model's labels, or a number.",
            "oneOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"type": "number"}],
        },
    )


class Wait(StrictSchema):
    wait = QueryNumber(
        load_default=0.0, validate=validate.Range(0), metadata={"description": "Seconds to wait for the job's end."}
    )


class JobsQuery(StrictSchema):
    status = fields.String(validate=validate.OneOf(list(Status)), metadata={"description": "Only those."})
    model = fields.String(
        validate=Whole(r"[A-Za-z0-9._\-]{1,64}", error="is not the name of a model"),
        metadata={"description": "Only those of this model."},
    )
    created_after = QueryMoment(metadata={"description": "Only those accepted after this moment."})
    created_before = QueryMoment(metadata={"description": "Only those accepted before this moment."})
    limit = QueryInteger(
        load_default=20, validate=validate.Range(1, 100), metadata={"description": "How many at a time."}
    )
    cursor = fields.String(
        validate=validate.Length(1, 64), metadata={"description": "The `next_cursor` of the page before."}
    )


class PartsQuery(StrictSchema):
    after = QueryInteger(validate=validate.Range(0), metadata={"description": "The `next_after` of the answer before."})
    limit = QueryInteger(
        load_default=100, validate=validate.Range(1, 1000), metadata={"description": "How many at a time."}
    )


class RetryQuery(StrictSchema):
    rows = fields.String(
        validate=validate.OneOf(["failed"]), metadata={"description": "Of a file: only the rows that have no answer."}
    )
