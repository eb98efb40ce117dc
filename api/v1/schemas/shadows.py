"""What operators see of versions that are compared, and of how often they were right."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate


def _number(says: str, *, none: bool = False) -> fields.Float:
    return fields.Float(required=True, allow_none=none, metadata={"description": says})


def _count(says: str) -> fields.Integer:
    return fields.Integer(required=True, validate=validate.Range(0), metadata={"description": says})


def _text(says: str) -> fields.String:
    return fields.String(required=True, metadata={"description": says})


def _part(of: type[Schema], says: str, *, none: bool = False) -> fields.Nested:
    return fields.Nested(of, required=True, allow_none=none, metadata={"description": says})


def _list(of: type[Schema], says: str) -> fields.List[Any]:
    return fields.List(fields.Nested(of), required=True, metadata={"description": says})


class Interval(Schema):
    """A value, and between which two it is at 95 %, however often somebody looks."""

    value = _number("As it was seen")
    low = _number("Not less than this; null where all values are equal, which says nothing of that", none=True)
    high = _number("Not more than this; null where low is", none=True)


class Confused(Schema):
    """How often the one said this and the other that."""

    stable = _text("What the stable version said")
    shadow = _text("What the shadow said")
    count = _count("How often")


class ComparedConfidence(Schema):
    """How sure both were, whatever they said."""

    shift = _part(Interval, "The mean of the shadow's less the stable version's")
    js_divergence = _number("Between both histograms, in bits: 0 for the same, 1 for nothing in common")
    psi = _number("Population stability index of both histograms")
    stable_histogram = fields.List(fields.Integer(), required=True, metadata={"description": "In tenths from 0 to 1"})
    shadow_histogram = fields.List(fields.Integer(), required=True, metadata={"description": "In tenths from 0 to 1"})


class ComparedLabels(Schema):
    """How far the labels of both agree."""

    agreement = _part(Interval, "How often both said the same")
    kappa = _number("Cohen's: agreement beyond chance; null where chance alone would always agree", none=True)
    confusion = _list(Confused, "Most frequent first, at most 100")
    confusion_left_out = _count("How many pairs are in none of them")
    js_divergence = _number("Between the labels of both, in bits: 0 for the same, 1 for nothing in common")
    psi = _number("Population stability index of the labels")
    confidence = _part(ComparedConfidence, "How sure both were")


class ComparedNumbers(Schema):
    """How far the numbers of both lie apart (Bland and Altman): the shadow's less the stable version's."""

    difference = _part(Interval, "The mean")
    deviation = _number("The standard deviation")
    limits = fields.List(
        fields.Float(), required=True, metadata={"description": "Mean less and plus 1.96 standard deviations"}
    )
    largest = _number("The largest, whichever way")


class Quantiles(Schema):
    """Milliseconds; null where there are none."""

    p50 = _number("The median", none=True)
    p95 = _number("Of 100, 95 were not slower", none=True)


class ComparedLatency(Schema):
    """How long both took for the same input, of requests with one input that were answered at once."""

    pairs = _count("How many there are")
    stable_ms = _part(Quantiles, "Of the stable version")
    shadow_ms = _part(Quantiles, "Of the shadow")
    difference_ms = _part(Quantiles, "Of the shadow's less the stable version's, for each pair")


class ComparedAnswer(Schema):
    """What was said: a label, or a number."""

    prediction = fields.String(metadata={"description": "The label"})
    confidence = fields.Float(metadata={"description": "How sure"})
    number = fields.Float(metadata={"description": "The number"})


class Disagreement(Schema):
    """One input to which both said something else."""

    request_id = _text("The request's")
    place = _count("Which of its inputs, from 0")
    digest = _text("SHA-256 of the input as JSON; the input itself is not kept")
    distance = _number("Of labels the mean of both confidences, of numbers the difference")
    stable = _part(ComparedAnswer, "What the stable version said")
    shadow = _part(ComparedAnswer, "What the shadow said")


class Comparison(Schema):
    """A shadow beside the stable version."""

    model = _text("The model")
    shadow = _text("The shadow's name")
    version = _text("The version that is the shadow")
    stable_version = _text("The version beside which it is")
    pairs = _count("Inputs that both were asked")
    compared = _count("Those of them that both answered")
    stable_errors = _count("Those that the stable version could not answer")
    shadow_errors = _count("Those that the shadow could not answer")
    labels = _part(ComparedLabels, "Of models that give a label", none=True)
    numbers = _part(ComparedNumbers, "Of models that give a number", none=True)
    latency = _part(ComparedLatency, "How long both took")
    disagreements = _list(Disagreement, "The 20 largest")


class Compared(Schema):
    """A shadow of which there are pairs."""

    model = _text("The model")
    name = _text("The shadow's name")
    pairs = _count("How many, of all versions that it was")
    last_at = fields.AwareDateTime(required=True, metadata={"description": "When the last one came"})


class Shadows(Schema):
    """All shadows of which there are pairs."""

    shadows = _list(Compared, "By model and name")


class CalibrationBin(Schema):
    """Answers that were about as sure."""

    from_ = fields.Float(data_key="from", required=True, metadata={"description": "From this confidence on"})
    count = _count("How many")
    confidence = _number("How sure they were on average", none=True)
    accuracy = _number("How often they were right", none=True)


class JudgedLabels(Schema):
    """How often labels were right, and whether they were as sure as they should be."""

    accuracy = _part(Interval, "How often they were right")
    brier = _number("Brier's score of the label that was said: 0 is best")
    calibration_error = _number("How far confidence and accuracy lie apart on average")
    bins = _list(CalibrationBin, "By tenths of confidence")


class JudgedNumbers(Schema):
    """How far numbers were from the truth."""

    mean_absolute_error = _number("On average")
    root_mean_square_error = _number("Large ones counting more")
    bias = _part(Interval, "The mean of what was said less what was true")


class JudgedVersion(Schema):
    """A version of which somebody said what was true."""

    version = _text("The version")
    judged = _count("How many of its answers")
    labels = _part(JudgedLabels, "Of models that give a label", none=True)
    numbers = _part(JudgedNumbers, "Of models that give a number", none=True)


class Quality(Schema):
    """How often the versions of a model were right."""

    model = _text("The model")
    versions = _list(JudgedVersion, "By version")
