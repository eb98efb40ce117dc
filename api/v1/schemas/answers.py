"""What we answer; for the contract and the tests, not run on every answer. Jobs are in `api.v1.schemas.jobs`."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.v1.schemas.errors import ItemFault
from api.v1.schemas.reasons import Explanation
from inference.promise import EXPLANATIONS, POOLS
from inference.tensors import DTYPES
from jobs.content_types import TYPES

_NUMBERS = [{"type": "number"}, {"type": "object", "additionalProperties": {"type": "number"}}]


class Answered(Schema):
    """The model's answer to one input."""

    prediction = fields.String(required=True, metadata={"description": "One of the model's labels"})
    confidence = fields.Float(
        required=True, validate=validate.Range(0, 1), metadata={"description": "Its probability, from 0 to 1"}
    )
    explanation = fields.Nested(Explanation, metadata={"description": "If it was asked for"})


class AnsweredByNumbers(Schema):
    """A model's answer to one input, where it gives numbers."""

    prediction = fields.Raw(
        required=True,
        metadata={"description": "A number, or several by the names that the model gives them", "anyOf": _NUMBERS},
    )
    explanation = fields.Nested(Explanation, metadata={"description": "If it was asked for"})


class AnsweredByEmbedding(Schema):
    """A model's answer to one input, where it gives a vector."""

    embedding = fields.List(fields.Float(), required=True, metadata={"description": "The vector"})


class Tag(Schema):
    """One of the model's tags that is likely enough."""

    label = fields.String(required=True, metadata={"description": "Its name"})
    confidence = fields.Float(
        required=True, validate=validate.Range(0, 1), metadata={"description": "Its probability, from 0 to 1"}
    )


class AnsweredByTags(Schema):
    """A model's answer to one input, where any number of its tags may be right."""

    tags = fields.List(fields.Nested(Tag), required=True, metadata={"description": "The likeliest first"})
    explanation = fields.Nested(Explanation, metadata={"description": "If it was asked for"})


class AnsweredByText(Schema):
    """A model's answer to one input, where it writes a text."""

    text = fields.String(required=True, metadata={"description": "The text"})


class Tensor(Schema):
    """One of the tensors that a model gives."""

    dtype = fields.String(
        required=True, validate=validate.OneOf(list(DTYPES)), metadata={"description": "The type of its elements"}
    )
    shape = fields.List(fields.Integer(), required=True, metadata={"description": "The sizes of its axes"})
    data = fields.List(
        fields.Raw(metadata={"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "string"}]}),
        required=True,
        metadata={"description": "Its elements in one list, those of the last axis beside each other"},
    )


class AnsweredByTensors(Schema):
    """A model's answer to one input, where it gives tensors."""

    tensors = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(Tensor),
        required=True,
        metadata={"description": "By the names that the model gives them"},
    )


class Box(Schema):
    """One of the things that a model has found, and where."""

    label = fields.String(required=True, metadata={"description": "What it is"})
    confidence = fields.Float(
        required=True, validate=validate.Range(0, 1), metadata={"description": "How sure that is, from 0 to 1"}
    )
    box = fields.List(
        fields.Float(),
        required=True,
        validate=validate.Length(equal=4),
        metadata={"description": "Its left, top, right and bottom, in the units that `output_schema` says"},
    )


class AnsweredByBoxes(Schema):
    """A model's answer to one input, where it finds things in a picture."""

    boxes = fields.List(fields.Nested(Box), required=True, metadata={"description": "The surest first"})


class AnsweredByRecord(Schema):
    """A model's answer to one input, where it gives values of its own."""

    record = fields.Dict(
        keys=fields.String(), required=True, metadata={"description": "The values, by the names in `output_schema`"}
    )


class _By(Schema):
    """Who gave an answer."""

    model = fields.String(required=True, metadata={"description": "The model that answered"})
    model_version = fields.String(required=True, metadata={"description": "The version that answered"})
    request_id = fields.String(required=True, metadata={"description": "Also in X-Request-ID and in our log"})


class Prediction(Answered, _By):
    """One answer, and who gave it."""


class PredictionOfNumbers(AnsweredByNumbers, _By):
    """One answer of numbers, and who gave it."""


class PredictionOfEmbedding(AnsweredByEmbedding, _By):
    """One answer that is a vector, and who gave it."""


class PredictionOfTags(AnsweredByTags, _By):
    """One answer of tags, and who gave it."""


class PredictionOfText(AnsweredByText, _By):
    """One answer that is a text, and who gave it."""


class PredictionOfTensors(AnsweredByTensors, _By):
    """One answer of tensors, and who gave it."""


class PredictionOfBoxes(AnsweredByBoxes, _By):
    """One answer of boxes, and who gave it."""


class PredictionOfRecord(AnsweredByRecord, _By):
    """One answer of values of its own, and who gave it."""


#: What comes of one input.
PREDICTION = {
    "anyOf": [
        Prediction, PredictionOfNumbers, PredictionOfEmbedding, PredictionOfTags, PredictionOfText, PredictionOfTensors,
        PredictionOfBoxes, PredictionOfRecord,
    ]
}  # fmt: skip


class BatchItem(Schema):
    """The answer to one input of several, or why there is none."""

    prediction = fields.Raw(
        metadata={
            "description": "One of the model's labels, a number, or several by their names",
            "anyOf": [{"type": "string"}, *_NUMBERS],
        }
    )
    embedding = fields.List(fields.Float(), metadata={"description": "The vector, where the model gives one"})
    tags = fields.List(fields.Nested(Tag), metadata={"description": "The likeliest first, where the model gives tags"})
    text = fields.String(metadata={"description": "The text, where the model writes one"})
    tensors = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(Tensor),
        metadata={"description": "By the names that the model gives them, where it gives tensors"},
    )
    boxes = fields.List(fields.Nested(Box), metadata={"description": "The surest first, where the model gives boxes"})
    record = fields.Dict(keys=fields.String(), metadata={"description": "The values, where the model gives its own"})
    confidence = fields.Float(validate=validate.Range(0, 1), metadata={"description": "Its probability, from 0 to 1"})
    explanation = fields.Nested(Explanation, metadata={"description": "If it was asked for"})
    error = fields.Nested(ItemFault, metadata={"description": "Instead of the others"})


class Predictions(Schema):
    """Answers in the order of the inputs."""

    predictions = fields.List(fields.Nested(BatchItem), required=True, metadata={"description": "One for each input"})
    count = fields.Integer(required=True, metadata={"description": "How many there are"})
    failed = fields.Integer(required=True, metadata={"description": "How many of them are errors"})
    model = fields.String(required=True, metadata={"description": "The model that answered"})
    model_version = fields.String(required=True, metadata={"description": "The version that answered"})
    request_id = fields.String(required=True, metadata={"description": "Also in X-Request-ID and in our log"})


class _InAndOut(Schema):
    """What a version takes and answers."""

    input_schema = fields.Dict(
        required=True, metadata={"description": "The JSON Schema (2020-12) of one input: what you send as `inputs`"}
    )
    output_schema = fields.Dict(
        required=True, metadata={"description": "The JSON Schema of the answer to one input, without an explanation"}
    )


class Version(_InAndOut):
    """One version of a model, and what it takes."""

    model = fields.String(required=True, metadata={"description": "The model's name"})
    version = fields.String(required=True, metadata={"description": "Such as `1.0.0`"})
    stable = fields.Boolean(
        required=True, metadata={"description": "Whether it answers when nobody asks for another one"}
    )
    deprecated = fields.Boolean(
        required=True, metadata={"description": "Whether another version is to be used in its place"}
    )
    deprecated_at = fields.AwareDateTime(metadata={"description": "Since when it is"})
    deprecation = fields.String(metadata={"description": "Why, and what to use"})
    sunset_at = fields.AwareDateTime(metadata={"description": "Until when it is meant to answer"})
    digest = fields.String(required=True, metadata={"description": "SHA-256 of all that it is made of"})
    kind = fields.String(required=True, metadata={"description": "What it works on, such as `text` or `audio`"})
    summary = fields.String(required=True, metadata={"description": "What it is for"})
    labels = fields.List(fields.String(), required=True, metadata={"description": "What it can answer"})
    pool = fields.String(
        required=True, validate=validate.OneOf(POOLS), metadata={"description": "The hardware that it runs on"}
    )
    inline = fields.Boolean(required=True, metadata={"description": "Whether /predict answers at once, without a job"})
    max_batch = fields.Integer(required=True, metadata={"description": "How many inputs run together"})
    units = fields.Integer(required=True, metadata={"description": "What one input costs"})
    explanation = fields.List(
        fields.String(validate=validate.OneOf(EXPLANATIONS)),
        required=True,
        metadata={"description": "What `explain` may be, beside true and false"},
    )
    licence = fields.String(required=True, metadata={"description": "Under which it may be used"})
    file_types = fields.List(
        fields.String(validate=validate.OneOf(TYPES)),
        required=True,
        metadata={"description": "What a file may be that is handed in for it"},
    )
    example = fields.Dict(
        required=True, metadata={"description": "Inputs that it answers; of a model for files its parameters"}
    )


class ModelLinks(Schema):
    """Where to go on."""

    self_ = fields.String(data_key="self", required=True, metadata={"description": "This model"})
    stable_version = fields.String(
        required=True, metadata={"description": "The version that answers, with the `input_schema` of what it takes"}
    )


class Model(Schema):
    """A model and its versions."""

    name = fields.String(required=True, metadata={"description": "What you send as `model`"})
    stable_version = fields.String(
        required=True, metadata={"description": "The version that answers when nobody asks for another one"}
    )
    summary = fields.String(required=True, metadata={"description": "What it is for"})
    versions = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "All there are; each at `/api/v1/models/{name}/versions/{version}`"},
    )
    links = fields.Nested(ModelLinks, required=True, metadata={"description": "Where to go on"})


class ModelInFull(Model, _InAndOut):
    """A model, what its stable version takes and answers, and something to try."""

    example = fields.Dict(
        required=True,
        metadata={"description": "To send to `/predict`; of a model for files to `/jobs`, with your own `upload_id`"},
    )
    curl = fields.String(metadata={"description": "The same as a command; not of a model for files"})


class Models(Schema):
    """Which models there are."""

    models = fields.List(fields.Nested(Model), required=True, metadata={"description": "All of them"})
