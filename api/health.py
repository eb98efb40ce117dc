"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

import flask
import prometheus_client
from marshmallow import Schema, fields, validate

from api import contract, exposition, resources

blueprint = contract.Blueprint("health", __name__)


class Health(Schema):
    """The process answers."""

    status = fields.String(
        required=True, validate=validate.OneOf(["healthy"]), metadata={"description": "Always the same"}
    )


class Pool(Schema):
    """Who works for a pool."""

    workers = fields.Integer(required=True, metadata={"description": "Heard of within the last seconds."})
    seen_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "When one was heard of last; null if never"}
    )


class Ready(Schema):
    """Whether requests can be answered."""

    status = fields.String(
        required=True,
        validate=validate.OneOf(["ready", "degraded", "unavailable"]),
        metadata={"description": "`unavailable` (503): requests are refused; `degraded`: jobs are accepted, and wait"},
    )
    problems = fields.List(
        fields.String(), required=True, metadata={"description": "What is not there, in words, and since when"}
    )
    model_loaded = fields.Boolean(
        required=True, metadata={"description": "Whether a stable model opens, or all take jobs alone"}
    )
    models = fields.List(fields.String(), required=True, metadata={"description": "Those that are open"})
    checks = fields.Dict(
        keys=fields.String(), values=fields.Boolean(), required=True, metadata={"description": "What answers"}
    )
    pools = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(Pool),
        required=True,
        metadata={"description": "Who works for which pool; `sweep` and `webhooks` are among them"},
    )
    clock_ahead_s = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Of this machine, against the database's, which decides; null while that is away"},
    )


TEXT = {
    "description": "Prometheus text",
    "content": {prometheus_client.CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}},
}


@blueprint.route("/healthz", methods=["GET"])
@blueprint.doc(security=[])
@blueprint.operation("getHealth", {200: Health}, 400)
def healthz() -> flask.Response:
    """See whether the process answers.

    It looks at nothing else: that is what `/ready` is for.
    """
    return flask.jsonify({"status": "healthy"})


@blueprint.route("/ready", methods=["GET"])
@blueprint.doc(security=[])
@blueprint.operation("getReadiness", {200: Ready, 503: Ready}, 400)
def ready() -> flask.Response:
    """See whether requests can be answered.

    200 when the database is there and stores jobs, and a stable model can be asked. `degraded` is 200 as well: jobs are
    accepted, but something that they need is not there, and they wait; `problems` says what and since when. Looked at
    once a second at most.
    """
    found = resources.here().readiness.get()
    response = flask.jsonify(found)
    response.status_code = 503 if found["status"] == "unavailable" else 200
    return response


@blueprint.route("/metrics", methods=["GET"])
@blueprint.operation("getMetrics", {}, 401, 403, 429, 500, 503)
@blueprint.doc(responses={"200": TEXT})
def metrics() -> flask.Response:
    """See what this process and all workers count, as Prometheus text.

    And how the queue, the workers and webhooks stand, which is looked at every few seconds at most. Takes a key with
    the scope `metrics` or `admin`, at an address for operators alone.
    """
    text = exposition.text(resources.here().figures)
    return flask.Response(text, content_type=prometheus_client.CONTENT_TYPE_LATEST)
