"""What asks a model: one input, several, or one that it is to give its reasons for."""

from __future__ import annotations

from marshmallow import fields, validate

from api.v1.schemas.fields import (
    LEVELS,
    Body,
    Explain,
    Level,
    Rows,
    StrictBoolean,
    StrictInteger,
    StrictNumber,
    StrictSchema,
    StrictString,
)
from inference.promise import EXPLANATIONS

NAME = validate.Length(1, 64)
MODEL = {
    "description": "Which model answers: a `name` of `GET /api/v1/models`. It may be left out where only one model is "
    "published, or the platform has a default one. The answer says which."
}
VERSION = {"description": "Which version answers, such as `1.0.0`; without it, the model's stable one."}
INPUT = "See the `input_schema` of the model's version: `GET /api/v1/models/{name}/versions/{version}`."
ROW = {"type": "object", "additionalProperties": True}
_EXPLAIN = {
    "description": "What to say about the why: a level that the model offers, or true for the best of them.",
    "oneOf": [{"type": "boolean"}, {"type": "string", "enum": list(LEVELS)}],
}
_CACHE = {
    "description": "Whether an answer that was kept will do, and this one may be kept; without it, as the model says. "
    "`X-Cache` says how it went."
}

_TOLERANCE = {
    "description": "Of an explanation that takes many questions, how exactly it is wanted: twice the `std_error` of "
    "each score, on its `scale`. No more is asked than that takes; without it, as much as the model says."
}
_STRICT = {
    "description": "Whether an answer whose reasons are not within `explain_tolerance`, because of the time or of the "
    "model's `evaluations`, is refused with `TOLERANCE_NOT_MET` instead of given as well as it is known."
}


class OfModel(Body):
    """Which model is asked."""

    model = StrictString(validate=NAME, metadata=MODEL)
    model_version = StrictString(validate=NAME, metadata=VERSION)


class Late(Body):
    """Whether a ticket will do."""

    async_ = StrictBoolean(
        data_key="async", metadata={"description": "Take a ticket instead of waiting, as `Prefer: respond-async`."}
    )


class Explaining(Body):
    """Which reasons are wanted, and how exactly."""

    explain = Explain(metadata=_EXPLAIN)
    explain_tolerance = StrictNumber(validate=validate.Range(0), metadata=_TOLERANCE)
    explain_strict = StrictBoolean(metadata=_STRICT)


class Options(Late, Explaining):
    """How to answer."""

    cache = StrictBoolean(metadata=_CACHE)


class Predict(OfModel):
    """One input for a model."""

    inputs = fields.Raw(required=True, metadata={**ROW, "description": f"The model's fields. {INPUT}"})
    options = fields.Nested(Options, load_default=dict, metadata={"description": "How to answer."})


class PredictQuery(StrictSchema):
    explain = Explain(metadata={"type": "string", "enum": list(LEVELS), "description": "As `options.explain`."})


class ExplainedOptions(Options):
    """How to answer."""

    explain = Level(
        metadata={
            "description": "A level that the model offers; true, and without it, the best of them.",
            "oneOf": [{"type": "boolean", "enum": [True]}, {"type": "string", "enum": list(EXPLANATIONS)}],
        },
    )


class Explained(OfModel):
    """One input for a model that is to say why."""

    inputs = fields.Raw(required=True, metadata={**ROW, "description": f"The model's fields. {INPUT}"})
    options = fields.Nested(ExplainedOptions, load_default=dict, metadata={"description": "How to answer."})


class BatchOptions(Explaining):
    """How to answer."""

    cache = StrictBoolean(metadata=_CACHE)
    batch_size = StrictInteger(
        validate=validate.Range(1, 256),
        load_default=32,
        metadata={"description": "Inputs that run together at most; no more than the model's `max_batch`."},
    )
    return_errors = StrictString(
        validate=validate.OneOf(["individual", "fail_fast"]),
        load_default="fail_fast",
        metadata={"description": "What a bad input spoils: only its own answer, or the request."},
    )


class Batch(OfModel):
    """Several inputs for a model."""

    inputs = Rows(
        fields.Raw(metadata=ROW),
        required=True,
        validate=validate.Length(1),
        metadata={"description": f"The model's fields, for each input. {INPUT}"},
    )
    options = fields.Nested(
        BatchOptions, load_default=lambda: BatchOptions().load({}), metadata={"description": "How to answer."}
    )
