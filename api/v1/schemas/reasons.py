"""What an answer says of its reasons; for the contract and the tests, not run on every answer."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from inference.explain.link import ALGORITHMS, SCALES


class Importance(Schema):
    """How much one feature moved the answer."""

    feature = fields.String(required=True, metadata={"description": "A field, a group of fields, or a part of a text"})
    place = fields.Integer(
        required=True, metadata={"description": "Where it stands among the fields, or in the text: 0 is the first"}
    )
    score = fields.Float(required=True, metadata={"description": "Towards the output, or away from it where negative"})
    std_error = fields.Float(metadata={"description": "How far off that may be; not there where it is exact"})


class Explanation(Schema):
    """What the answer rests on."""

    method = fields.String(
        required=True, validate=validate.OneOf(["scores", "SHAP"]), metadata={"description": "How it was made"}
    )
    scores = fields.Dict(
        keys=fields.String(), values=fields.Float(), metadata={"description": "Of every label, its probability"}
    )
    feature_importance = fields.List(
        fields.Nested(Importance), metadata={"description": "Of SHAP: every feature, what moved the answer most first"}
    )
    algorithm = fields.String(
        validate=validate.OneOf(ALGORITHMS),
        metadata={"description": "How the scores were found: the first three are exact, the others have a `std_error`"},
    )
    output = fields.String(metadata={"description": "The label, or the number, that is explained"})
    scale = fields.String(validate=validate.OneOf(SCALES), metadata={"description": "What the scores are"})
    base_value = fields.Float(metadata={"description": "What is usual, on that scale, before any feature is known"})
    value = fields.Float(metadata={"description": "What this input has: `base_value` and all scores"})
    additivity_error = fields.Float(
        metadata={"description": "How far `value` is from what the model answered, as it answers"}
    )
    evaluations = fields.Integer(metadata={"description": "Inputs that the model was asked for this; 0 where none"})
    cut_short = fields.Boolean(
        metadata={"description": "True where there was no time for as many as were wanted; else not there"}
    )
