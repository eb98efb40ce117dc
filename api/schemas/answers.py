"""What we answer; for the documentation and the tests, not run on every answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from core.errors import MAX_FAULTS
from jobs.job import Status


class Explanation(Schema):
    method = fields.String(required=True)
    scores = fields.Dict(keys=fields.String(), values=fields.Float())


class Prediction(Schema):
    prediction = fields.String(required=True)
    confidence = fields.Float(required=True)
    explanation = fields.Nested(Explanation)
    model = fields.String(required=True)
    model_version = fields.String(required=True)
    request_id = fields.String(required=True)


class Fault(Schema):
    code = fields.String(required=True)
    message = fields.String(required=True)
    details = fields.Dict(required=True)
    more = fields.Integer(metadata={"description": "Faults that are not listed."})


class BatchItem(Schema):
    prediction = fields.String()
    confidence = fields.Float()
    error = fields.Nested(Fault)


class Predictions(Schema):
    predictions = fields.List(fields.Nested(BatchItem), required=True)
    count = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    model = fields.String(required=True)
    model_version = fields.String(required=True)
    request_id = fields.String(required=True)


class Links(Schema):
    self_ = fields.String(data_key="self", required=True)
    events = fields.String(required=True)
    cancel = fields.String()
    retry = fields.String()
    result = fields.String()
    parts = fields.String()


class Ticket(Schema):
    job_id = fields.String(required=True)
    status = fields.Enum(Status, by_value=True, required=True)
    model = fields.String(required=True)
    model_version = fields.String(required=True)
    links = fields.Nested(Links, required=True)
    request_id = fields.String(required=True)


class Queue(Schema):
    ahead = fields.Integer(required=True)
    starts_in_s = fields.Float(allow_none=True, required=True)
    basis = fields.String(required=True)


class Moment(Schema):
    event = fields.String(required=True)
    at = fields.AwareDateTime(required=True)
    attempt = fields.Integer()
    batch_size = fields.Integer()
    run_ms = fields.Integer()
    error = fields.Dict()


class Rows(Schema):
    total = fields.Integer(required=True)
    done = fields.Integer(required=True)
    failed = fields.Integer(required=True)


class Part(Schema):
    part = fields.Integer(required=True)
    first_line = fields.Integer(required=True)
    rows = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    url = fields.String(required=True)


class Parts(Schema):
    parts = fields.List(fields.Nested(Part), required=True)
    next_after = fields.Integer(allow_none=True, required=True)
    expires_at = fields.AwareDateTime(required=True)


class Upload(Schema):
    upload_id = fields.String(required=True)
    url = fields.String(required=True)
    fields_ = fields.Dict(data_key="fields", keys=fields.String(), values=fields.String(), required=True)
    expires_at = fields.AwareDateTime(required=True)
    request_id = fields.String(required=True)


class Job(Schema):
    job_id = fields.String(required=True)
    status = fields.Enum(Status, by_value=True, required=True)
    progress = fields.Integer(required=True)
    model = fields.String(required=True)
    model_version = fields.String(required=True)
    priority = fields.String(required=True)
    attempt = fields.Integer(required=True)
    lost_count = fields.Integer(required=True)
    cancel_requested = fields.Boolean(required=True)
    retry_of = fields.String()
    timeout_s = fields.Integer(required=True)
    metadata = fields.Dict(required=True)
    result = fields.Dict()
    error = fields.Dict()
    last_error = fields.Dict()
    rows = fields.Nested(Rows, metadata={"description": "Of a file."})
    queue = fields.Nested(Queue)
    timeline = fields.List(fields.Nested(Moment))
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(allow_none=True, required=True)
    finished_at = fields.AwareDateTime(allow_none=True, required=True)
    expires_at = fields.AwareDateTime(required=True)
    links = fields.Nested(Links, required=True)


class Jobs(Schema):
    jobs = fields.List(fields.Nested(Job), required=True)
    next_cursor = fields.String(allow_none=True, required=True)


class Version(Schema):
    model = fields.String(required=True)
    version = fields.String(required=True)
    stable = fields.Boolean(required=True)
    digest = fields.String(required=True)
    kind = fields.String(required=True)
    summary = fields.String(required=True)
    labels = fields.List(fields.String(), required=True)
    pool = fields.String(required=True)
    inline = fields.Boolean(required=True)
    max_batch = fields.Integer(required=True)
    units = fields.Integer(required=True)
    explanation = fields.List(fields.String(), required=True)
    licence = fields.String(required=True)
    input_schema = fields.Dict(required=True)


class Model(Schema):
    name = fields.String(required=True)
    stable_version = fields.String(required=True)
    summary = fields.String(required=True)
    versions = fields.List(fields.String(), required=True)


class Models(Schema):
    models = fields.List(fields.Nested(Model), required=True)


class Error(Fault):
    errors = fields.List(
        fields.Dict(), metadata={"description": f"With several faults, the first {MAX_FAULTS}.", "maxItems": MAX_FAULTS}
    )
    request_id = fields.String(required=True)
    timestamp = fields.String(required=True)


class Envelope(Schema):
    error = fields.Nested(Error, required=True)


class Health(Schema):
    status = fields.String(required=True)


class Ready(Schema):
    status = fields.String(required=True)
    model_loaded = fields.Boolean(required=True)
    models = fields.List(fields.String(), required=True)
    checks = fields.Dict(keys=fields.String(), values=fields.Boolean(), required=True)
    clock_ahead_s = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Of this machine, against the database's, which decides; null while that is away"},
    )
