"""Jobs as we answer them; for the contract and the tests, not run on every answer."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import Schema, fields, validate

from api.v1.schemas.answers import (
    Answered,
    AnsweredByBoxes,
    AnsweredByEmbedding,
    AnsweredByNumbers,
    AnsweredByRecord,
    AnsweredByTags,
    AnsweredByTensors,
    AnsweredByText,
    BatchItem,
)
from api.v1.schemas.errors import Fault
from jobs.job import Priority, Status
from jobs.place import MOST

#: What a timeline tells of a job; its stream of events tells `progress` as well.
MOMENTS = [*Status, "cancel_requested"]


class Links(Schema):
    """Where to go on; only what is possible now."""

    self_ = fields.String(data_key="self", required=True, metadata={"description": "The job"})
    events = fields.String(required=True, metadata={"description": "What happens to it, as Server-Sent Events"})
    cancel = fields.String(metadata={"description": "POST here to take it back"})
    retry = fields.String(metadata={"description": "POST here to hand it in once more"})
    result = fields.String(metadata={"description": "Its result alone"})
    parts = fields.String(metadata={"description": "Of a file: what is done of it"})


class Ticket(Schema):
    """The job is committed, and will end."""

    job_id = fields.String(required=True, metadata={"description": "What to come back with: `job_…`"})
    status = fields.String(
        validate=validate.OneOf(list(Status)), required=True, metadata={"description": "Where it stands"}
    )
    model = fields.String(required=True, metadata={"description": "The model that will answer"})
    model_version = fields.String(required=True, metadata={"description": "The version that will answer"})
    links = fields.Nested(Links, required=True, metadata={"description": "Where to go on"})
    request_id = fields.String(required=True, metadata={"description": "Also in X-Request-ID and in our log"})


class Queue(Schema):
    """Where a waiting job stands."""

    ahead = fields.Integer(
        required=True, metadata={"description": f"Jobs that are before it; {MOST} are counted at most"}
    )
    at_least = fields.Boolean(
        required=True,
        metadata={"description": "Whether there may be more: then `ahead` and `starts_in_s` are the least they can be"},
    )
    starts_in_s = fields.Float(
        allow_none=True, required=True, metadata={"description": "An estimate in seconds; null if there is none"}
    )
    basis = fields.String(required=True, metadata={"description": "What the estimate rests on, in words"})


class Moment(Schema):
    """One thing that happened to a job."""

    event = fields.String(required=True, validate=validate.OneOf(MOMENTS), metadata={"description": "What happened"})
    at = fields.AwareDateTime(required=True, metadata={"description": "When"})
    attempt = fields.Integer(metadata={"description": "At which attempt"})
    batch_size = fields.Integer(metadata={"description": "How many jobs ran together"})
    run_ms = fields.Integer(metadata={"description": "How long the model ran, in milliseconds"})
    error = fields.Nested(Fault, metadata={"description": "Why the attempt ended without a result"})


class Rows(Schema):
    """How far a file is."""

    total = fields.Integer(required=True, metadata={"description": "Rows found so far"})
    done = fields.Integer(required=True, metadata={"description": "Rows that are answered"})
    failed = fields.Integer(required=True, metadata={"description": "Of those, rows that have an error for an answer"})


class Part(Schema):
    """Some rows of a file, answered."""

    part = fields.Integer(required=True, metadata={"description": "Its number, from 0"})
    first_line = fields.Integer(required=True, metadata={"description": "The line of the file that it begins with"})
    rows = fields.Integer(required=True, metadata={"description": "How many"})
    failed = fields.Integer(required=True, metadata={"description": "How many of them have an error for an answer"})
    url = fields.String(required=True, metadata={"description": "The answers as JSONL; signed, needs no key"})


class Parts(Schema):
    """What is done of a file, in order."""

    parts = fields.List(fields.Nested(Part), required=True, metadata={"description": "In the order of the file"})
    next_after = fields.Integer(
        allow_none=True, required=True, metadata={"description": "Ask again with it as `after`; null: no more now"}
    )
    expires_at = fields.AwareDateTime(required=True, metadata={"description": "Until when the addresses hold"})


class PredictionsResult(Schema):
    """Of a list of inputs: answers in their order."""

    predictions = fields.List(fields.Nested(BatchItem), required=True, metadata={"description": "One for each input"})


class RowsResult(Schema):
    """Of a file of rows: where the answers are."""

    rows = fields.Integer(required=True, metadata={"description": "How many"})
    failed = fields.Integer(required=True, metadata={"description": "How many of them have an error for an answer"})
    output_url = fields.String(metadata={"description": "All answers as JSONL; signed, needs no key"})
    errors_url = fields.String(metadata={"description": "The errors alone, if there are any"})
    expires_at = fields.AwareDateTime(required=True, metadata={"description": "Until when the addresses hold"})
    sent = fields.Boolean(metadata={"description": "Whether your `output_url` has taken the answers"})
    send_error = fields.Nested(Fault, metadata={"description": "Why it has not"})


class StoredResult(Schema):
    """Of a large result: where it is."""

    url = fields.String(required=True, metadata={"description": "The result as JSON; signed, needs no key"})
    bytes = fields.Integer(required=True, metadata={"description": "Its size"})
    expires_at = fields.AwareDateTime(required=True, metadata={"description": "Until when the address holds"})


class PublishedResult(Schema):
    """Of a bundle that was published: the version that it is."""

    model = fields.String(required=True, metadata={"description": "The model"})
    version = fields.String(required=True, metadata={"description": "Its version"})
    digest = fields.String(required=True, metadata={"description": "Names the bundle by what it holds"})
    new = fields.Boolean(
        required=True, metadata={"description": "False where it was there already, with the same contents"}
    )
    stable = fields.Boolean(
        required=True, metadata={"description": "Whether it answers when nobody asks for a version"}
    )


class GivenFile(Schema):
    """A file that a model gave beside its answer."""

    name = fields.String(required=True, metadata={"description": "Its name, no two alike in one result"})
    content_type = fields.String(required=True, metadata={"description": "What it holds, such as `image/png`"})
    bytes = fields.Integer(required=True, metadata={"description": "Its size"})
    url = fields.String(required=True, metadata={"description": "Where it is; signed, needs no key"})


class WithFiles(Schema):
    """Of a file that a model takes whole, where the model gave files: beside what else there is."""

    class Meta:
        unknown = ma.INCLUDE

    files = fields.List(fields.Nested(GivenFile), required=True, metadata={"description": "In the order as given"})
    expires_at = fields.AwareDateTime(required=True, metadata={"description": "Until when the addresses hold"})


class FileResult(Schema):
    """Of a file that a model takes whole, such as a recording: what the model's card says."""

    class Meta:
        unknown = ma.INCLUDE


class Result(fields.Field[Any]):
    """Any of RESULTS; stands in the contract as a schema of this name."""


RESULT = {"$ref": "#/components/schemas/Result"}
RESULTS = (
    Answered, AnsweredByNumbers, AnsweredByEmbedding, AnsweredByTags, AnsweredByText, AnsweredByTensors,
    AnsweredByBoxes, AnsweredByRecord, PredictionsResult, RowsResult, StoredResult, PublishedResult, WithFiles,
    FileResult,
)  # fmt: skip


class Job(Schema):
    """A job."""

    job_id = fields.String(required=True, metadata={"description": "`job_…`"})
    status = fields.String(
        validate=validate.OneOf(list(Status)),
        required=True,
        metadata={"description": "Where it stands; `completed`, `failed`, `canceled` and `expired` are ends"},
    )
    progress = fields.Integer(required=True, validate=validate.Range(0, 100), metadata={"description": "From 0 to 100"})
    model = fields.String(required=True, metadata={"description": "The model that answers"})
    model_version = fields.String(required=True, metadata={"description": "The version that answers"})
    priority = fields.String(
        validate=validate.OneOf(list(Priority)),
        required=True,
        metadata={"description": "`high` is as if it had come 5 s earlier, `low` 60 s later"},
    )
    attempt = fields.Integer(required=True, metadata={"description": "How often a worker has taken it"})
    lost_count = fields.Integer(
        required=True, metadata={"description": "How many workers were lost while they held it"}
    )
    cancel_requested = fields.Boolean(required=True, metadata={"description": "Whether it is being taken back"})
    retry_of = fields.String(metadata={"description": "The job that this is another try of"})
    timeout_s = fields.Integer(required=True, metadata={"description": "Seconds that one attempt may run"})
    metadata = fields.Dict(required=True, metadata={"description": "As it was handed in"})
    result = Result(metadata={"description": "Once it is completed; not in lists of jobs"})
    error = fields.Nested(Fault, metadata={"description": "Why it ended without a result"})
    last_error = fields.Nested(Fault, metadata={"description": "Why its last attempt failed; it is tried again"})
    rows = fields.Nested(Rows, metadata={"description": "Of a file of rows: how far it is"})
    queue = fields.Nested(Queue, metadata={"description": "While it waits: where it stands"})
    timeline = fields.List(fields.Nested(Moment), metadata={"description": "What happened; not in lists of jobs"})
    created_at = fields.AwareDateTime(required=True, metadata={"description": "When it was accepted"})
    started_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "When its first attempt began"}
    )
    finished_at = fields.AwareDateTime(allow_none=True, required=True, metadata={"description": "When it ended"})
    expires_at = fields.AwareDateTime(required=True, metadata={"description": "If it is not done by then, it expires"})
    links = fields.Nested(Links, required=True, metadata={"description": "Where to go on"})


class Jobs(Schema):
    """One page of the list."""

    jobs = fields.List(fields.Nested(Job), required=True, metadata={"description": "Newest first"})
    next_cursor = fields.String(
        allow_none=True,
        required=True,
        metadata={"description": "Ask again with it as `cursor`; null on the last page"},
    )
