"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

import flask
import prometheus_client

from api import contract, exposition, resources
from api.parsing import Blueprint
from api.schemas import answers as out

blueprint = Blueprint("health", __name__)


TEXT = {
    "description": "Prometheus text",
    "content": {prometheus_client.CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}},
}


@blueprint.route("/healthz", methods=["GET"])
@blueprint.doc(security=[])
@contract.operation(blueprint, "getHealth", {200: out.Health}, 400)
def healthz() -> flask.Response:
    """See whether the process answers.

    It looks at nothing else: that is what `/ready` is for.
    """
    return flask.jsonify({"status": "healthy"})


@blueprint.route("/ready", methods=["GET"])
@blueprint.doc(security=[])
@contract.operation(blueprint, "getReadiness", {200: out.Ready, 503: out.Ready}, 400)
def ready() -> flask.Response:
    """See whether requests can be answered.

    200 when the database is there and stores jobs, and the stable models open. `degraded` is 200 as well: jobs are
    accepted, but something that they need is not there, and they wait; `problems` says what and since when. Looked at
    once a second at most.
    """
    found = resources.here().readiness.get()
    response = flask.jsonify(found)
    response.status_code = 503 if found["status"] == "unavailable" else 200
    return response


@blueprint.route("/metrics", methods=["GET"])
@contract.operation(blueprint, "getMetrics", {}, 401, 403, 429, 500, 503)
@blueprint.doc(responses={"200": TEXT})
def metrics() -> flask.Response:
    """See what this process and all workers count, as Prometheus text.

    And how the queue, the workers and webhooks stand, which is looked at every few seconds at most. Takes a key with
    the scope `metrics` or `admin`, at an address for operators alone.
    """
    text = exposition.text(resources.here().figures)
    return flask.Response(text, content_type=prometheus_client.CONTENT_TYPE_LATEST)
