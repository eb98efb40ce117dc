"""What v2 answers where it is other than in v1; for the contract and the tests, not run on every answer."""

from __future__ import annotations

from collections.abc import Mapping

import marshmallow as ma
from marshmallow import Schema, fields, validate

from api.v1.schemas import admin, answers, keys, keys_of_all, shadows, tiers, usage, webhooks
from api.v1.schemas import jobs as jobs_of_v1
from api.v1.schemas.errors import CODES, Issue
from core import errors

_SCORES = {"description": "Of every class, its probability"}


def _scores(*, required: bool = True) -> fields.Dict:
    return fields.Dict(keys=fields.String(), values=fields.Float(), required=required, metadata=_SCORES)


class ServedLinks(Schema):
    """Where to read on."""

    self_ = fields.String(data_key="self", required=True, metadata={"description": "This version, and what it takes"})
    model = fields.String(required=True, metadata={"description": "The model, with all its versions"})


class ServedModel(Schema):
    """Which version of which model answers, and why it does."""

    name = fields.String(required=True, metadata={"description": "The model"})
    version = fields.String(required=True, metadata={"description": "Its version"})
    route = fields.String(
        allow_none=True,
        required=True,
        metadata={"description": "Why it is this one: `pinned`, `stable`, `canary NAME`, `experiment NAME/VARIANT`"},
    )
    digest = fields.String(
        allow_none=True,
        required=True,
        metadata={"description": "SHA-256 of all that it is made of; null where it is not published, or not any more"},
    )
    links = fields.Nested(ServedLinks, required=True, metadata={"description": "Where to read on"})


class Timing(Schema):
    """How long it took, in milliseconds; null of what is not over."""

    queued_ms = fields.Float(
        allow_none=True,
        required=True,
        metadata={"description": "From the request, or for a job from its acceptance, until it first began to run"},
    )
    ran_ms = fields.Float(
        allow_none=True,
        required=True,
        metadata={"description": "Since then until it ended"},
    )
    total_ms = fields.Float(allow_none=True, required=True, metadata={"description": "Both"})


_MODEL = {"description": "Which version of which model answers"}


class _By(Schema):
    """Who gave an answer, and in which time."""

    model = fields.Nested(ServedModel, required=True, metadata=_MODEL)
    timing = fields.Nested(
        Timing, allow_none=True, required=True, metadata={"description": "Of the request that was answered first"}
    )
    request_id = fields.String(required=True, metadata={"description": "Also in X-Request-ID and in our log"})


class Answered(answers.Answered):
    """The model's answer to one input."""

    scores = _scores()


class AnsweredByTags(answers.AnsweredByTags):
    """A model's answer to one input, where any number of its tags may be right."""

    scores = _scores()


class Prediction(Answered, _By):
    """One answer, and who gave it."""


class PredictionOfTags(AnsweredByTags, _By):
    """One answer of tags, and who gave it."""


def _prediction(of: type[Schema], answered: type[Schema]) -> type[Schema]:
    return type(of.__name__, (answered, _By), {"__doc__": of.__doc__})


class BatchItem(answers.BatchItem):
    """The answer to one input of several, or why there is none."""

    scores = _scores(required=False)


class Predictions(_By):
    """Answers in the order of the inputs."""

    predictions = fields.List(fields.Nested(BatchItem), required=True, metadata={"description": "One for each input"})
    count = fields.Integer(required=True, metadata={"description": "How many there are"})
    failed = fields.Integer(required=True, metadata={"description": "How many of them are errors"})


class PredictionsResult(Schema):
    """Of a list of inputs: answers in their order."""

    predictions = fields.List(fields.Nested(BatchItem), required=True, metadata={"description": "One for each input"})


class Ticket(jobs_of_v1.Ticket):
    """The job is committed, and will end."""

    class Meta:
        exclude = ("model_version",)

    model = fields.Nested(ServedModel, required=True, metadata=_MODEL)  # type: ignore[assignment]


class Job(jobs_of_v1.Job):
    """A job."""

    class Meta:
        exclude = ("model_version",)

    model = fields.Nested(ServedModel, required=True, metadata=_MODEL)  # type: ignore[assignment]
    timing = fields.Nested(Timing, required=True, metadata={"description": "How long it took so far"})


class ListLinks(Schema):
    """Where this list is, and what follows."""

    self_ = fields.String(data_key="self", required=True, metadata={"description": "This page"})
    next_ = fields.String(
        data_key="next", allow_none=True, required=True, metadata={"description": "The next page; null on the last"}
    )


class VersionLinks(Schema):
    """Where to read on."""

    self_ = fields.String(data_key="self", required=True, metadata={"description": "The version, and what it takes"})


class ListedVersion(Schema):
    """One version of a model, in short."""

    version = fields.String(required=True, metadata={"description": "Such as `1.0.0`"})
    stable = fields.Boolean(required=True, metadata={"description": "Whether it answers when nobody asks for another"})
    deprecated = fields.Boolean(required=True, metadata={"description": "Whether another is to be used in its place"})
    digest = fields.String(required=True, metadata={"description": "SHA-256 of all that it is made of"})
    links = fields.Nested(VersionLinks, required=True, metadata={"description": "Where to read on"})


_VERSIONS = {"description": "All there are"}


class Model(answers.Model):
    """A model and its versions."""

    versions = fields.List(fields.Nested(ListedVersion), required=True, metadata=_VERSIONS)


class ModelInFull(answers.ModelInFull):
    """A model, what its stable version takes and answers, and something to try."""

    versions = fields.List(fields.Nested(ListedVersion), required=True, metadata=_VERSIONS)


class Deprecation(Schema):
    """That another version is to be used in its place."""

    at = fields.AwareDateTime(required=True, metadata={"description": "Since when"})
    message = fields.String(allow_none=True, required=True, metadata={"description": "Why, and what to use"})
    sunset_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "Until when it is meant to answer"}
    )


class Version(answers.Version):
    """One version of a model, and what it takes."""

    class Meta:
        exclude = ("deprecated", "deprecated_at", "sunset_at")

    deprecation = fields.Nested(  # type: ignore[assignment]
        Deprecation, allow_none=True, required=True, metadata={"description": "Null where it is not deprecated"}
    )
    links = fields.Nested(ServedLinks, required=True, metadata={"description": "Where to read on"})


class Problem(Schema):
    """The body of every answer that is an error: problem details (RFC 9457)."""

    type = fields.String(required=True, metadata={"description": "What kind it is: where this contract describes it"})
    title = fields.String(required=True, metadata={"description": "The kind in words; the same each time"})
    status = fields.Integer(required=True, metadata={"description": "The status of the answer"})
    detail = fields.String(required=True, metadata={"description": "This one, in a sentence for people; may change"})
    instance = fields.String(required=True, metadata={"description": "This one: `#` and the id of the request"})
    code = fields.String(
        required=True,
        validate=validate.OneOf(sorted({*CODES, "NOT_ACCEPTABLE"})),
        metadata={"description": "Stable, for programs. There may be more of them one day: know others by the status"},
    )
    errors = fields.List(
        fields.Nested(Issue),
        metadata={"description": "Each fault of the input", "maxItems": errors.MAX_FAULTS},
    )
    more = fields.Integer(metadata={"description": "How many faults there are besides"})
    details = fields.Dict(metadata={"description": "Facts about it that are no fault of a field"})
    links = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "Where to read on: `schema`, `model` or `models`"},
    )
    request_id = fields.String(required=True, metadata={"description": "Also in X-Request-ID and in our log"})
    timestamp = fields.AwareDateTime(required=True, metadata={"description": "When it was answered"})


def _listed(of: type[Schema], item: type[Schema] | None = None) -> type[Schema]:
    """A list of v1 as v2 has it: what it lists are its `items`."""
    declared = dict(of._declared_fields)
    name, many = next((name, field) for name, field in declared.items() if isinstance(field, ma.fields.List))
    del declared[name]
    inner = fields.Nested(item) if item else many.inner
    made = {
        **declared,
        "items": fields.List(inner, required=True, metadata=many.metadata),
        "links": fields.Nested(ListLinks, required=True, metadata={"description": "Where to go on"}),
    }
    return type(of.__name__, (Schema,), {"__doc__": of.__doc__, **made})


#: What stands in the place of each schema of v1 that v2 has another one for.
STANDS_IN: Mapping[type[Schema], type[Schema]] = {
    answers.Answered: Answered,
    answers.AnsweredByTags: AnsweredByTags,
    answers.Prediction: Prediction,
    answers.PredictionOfTags: PredictionOfTags,
    answers.PredictionOfNumbers: _prediction(answers.PredictionOfNumbers, answers.AnsweredByNumbers),
    answers.PredictionOfEmbedding: _prediction(answers.PredictionOfEmbedding, answers.AnsweredByEmbedding),
    answers.PredictionOfText: _prediction(answers.PredictionOfText, answers.AnsweredByText),
    answers.PredictionOfTensors: _prediction(answers.PredictionOfTensors, answers.AnsweredByTensors),
    answers.PredictionOfBoxes: _prediction(answers.PredictionOfBoxes, answers.AnsweredByBoxes),
    answers.PredictionOfRecord: _prediction(answers.PredictionOfRecord, answers.AnsweredByRecord),
    answers.Predictions: Predictions,
    answers.Model: Model,
    answers.ModelInFull: ModelInFull,
    answers.Version: Version,
    answers.Models: _listed(answers.Models, Model),
    jobs_of_v1.PredictionsResult: PredictionsResult,
    jobs_of_v1.Ticket: Ticket,
    jobs_of_v1.Job: Job,
    jobs_of_v1.Jobs: _listed(jobs_of_v1.Jobs, Job),
    **{
        of: _listed(of)
        for of in (
            jobs_of_v1.Parts, keys.ApiKeys, keys_of_all.IssuedKeys, usage.Usage, webhooks.Endpoints,
            webhooks.Deliveries, tiers.Tiers, admin.Tenants, admin.Adjustments, admin.Changes, admin.Blocks,
            shadows.Shadows,
        )
    },
}  # fmt: skip
