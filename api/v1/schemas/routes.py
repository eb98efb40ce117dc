"""Who gets which version of a model, and what was seen of its canaries: what operators are answered and told."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.v1.schemas.fields import Body, StrictString
from registry.judging.trials import STATES
from registry.routes import By


class Exposed(Schema):
    """How many requests were seen."""

    canary = fields.Integer(required=True, metadata={"description": "Of the canary"})
    stable = fields.Integer(required=True, metadata={"description": "Of the stable version, beside it"})


class CanaryMetric(Exposed):
    """Bad events of one kind, and what they say."""

    e = fields.Float(required=True, metadata={"description": "How much speaks for that it is worse; see `threshold`"})
    needs = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "About how many more requests to both it takes to find a canary twice as bad as is tolerated"
        },
    )


class CanaryEvidence(Schema):
    """What was seen of a canary; empty before anything was."""

    share = fields.Float(metadata={"description": "Which part of what it and the stable version get is its own"})
    tolerance = fields.Float(metadata={"description": "So many times as bad as the stable version it may be"})
    level = fields.Float(metadata={"description": "Which share of good canaries may be taken for worse"})
    threshold = fields.Float(metadata={"description": "It is worse once the `e` of a metric is this"})
    exposed = fields.Nested(Exposed, metadata={"description": "Requests until now"})
    metrics = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(CanaryMetric),
        metadata={"description": "`errors` of the model, and `slow` answers; there may be more of these one day"},
    )
    slow_s = fields.Float(
        allow_none=True,
        metadata={
            "description": "What is longer is slow, in seconds: as 5 % of the stable version's; null: not known yet"
        },
    )
    first_at = fields.AwareDateTime(allow_none=True, metadata={"description": "Of the first bad event"})
    last_at = fields.AwareDateTime(allow_none=True, metadata={"description": "Of the last bad event"})


class CanaryData(Schema):
    """A canary, and what came of it."""

    model = fields.String(required=True, metadata={"description": "The name of the model"})
    canary = fields.String(required=True, metadata={"description": "Its own name"})
    version = fields.String(required=True, metadata={"description": "The version on trial"})
    stable = fields.String(required=True, metadata={"description": "The one that it is compared with"})
    since = fields.AwareDateTime(required=True, metadata={"description": "When its trial began"})
    ended_at = fields.AwareDateTime(required=True, allow_none=True, metadata={"description": "When, if it has"})
    ended_by = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`canary judge`, `key:<id>` or `cli:<user>`"},
    )
    evidence = fields.Nested(CanaryEvidence, required=True, metadata={"description": "What was seen"})


class Trial(CanaryData):
    """A canary's trial, of those that run and of the last of each name."""

    state = fields.String(
        required=True,
        validate=validate.OneOf(STATES),
        metadata={"description": "`running` is: not worse as far as can be said yet"},
    )


class ChangedRoutes(Body):
    """Who is to get which version of a model, in the words of the file that `coatcheck apply` takes."""

    stable = StrictString(metadata={"description": "The version that answers the rest"})
    by = StrictString(validate=validate.OneOf([*By]), metadata={"description": "What is decided for"})
    canaries = fields.List(fields.Dict(), metadata={"description": "Versions on trial"})
    experiments = fields.List(fields.Dict(), metadata={"description": "Versions that are compared"})
    shadows = fields.List(fields.Dict(), metadata={"description": "Versions that are asked the same"})
    aliases = fields.Dict(keys=StrictString(), values=StrictString(), metadata={"description": "Names for versions"})


class Routes(Schema):
    """Who gets which version of a model, as `coatcheck apply` takes it, and what was seen of its canaries."""

    model = fields.String(required=True, metadata={"description": "The name of the model"})
    stable = fields.String(required=True, metadata={"description": "The version that answers the rest"})
    by = fields.String(required=True, validate=validate.OneOf([*By]), metadata={"description": "What is decided for"})
    canaries = fields.List(fields.Dict(), required=True, metadata={"description": "Versions on trial"})
    experiments = fields.List(fields.Dict(), required=True, metadata={"description": "Versions that are compared"})
    shadows = fields.List(fields.Dict(), required=True, metadata={"description": "Versions that are asked the same"})
    aliases = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, metadata={"description": "Names for versions"}
    )
    trials = fields.List(fields.Nested(Trial), required=True, metadata={"description": "By name"})
