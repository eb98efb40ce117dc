"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

import contextlib

import flask
import prometheus_client

from api import contract, resources
from api.parsing import Blueprint
from api.schemas import answers as out
from core import database
from core import metrics as counts

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

    200 when the database is there and the stable models open. Without Redis jobs are still accepted, and run when it is
    back. Looked at once a second at most.
    """
    found = resources.here().readiness.get()
    response = flask.jsonify(found)
    response.status_code = 200 if found["status"] == "ready" else 503
    return response


@blueprint.route("/metrics", methods=["GET"])
@contract.operation(blueprint, "getMetrics", {}, 401, 403, 429, 500, 503)
@blueprint.doc(responses={"200": TEXT})
def metrics() -> flask.Response:
    """See what the process counts, as Prometheus text.

    And what the database says of webhooks, which is looked at once a second at most. Takes a key with the scope
    `metrics` or `admin`, at an address for operators alone.
    """
    with contextlib.suppress(*database.OUTAGES):
        backlog = resources.here().backlog.get()
        counts.WEBHOOKS_PENDING.set(backlog.pending)
        counts.WEBHOOKS_OVERDUE.set(max(0.0, backlog.overdue_s))
        counts.ENDPOINTS_DISABLED.set(backlog.disabled)
    return flask.Response(prometheus_client.generate_latest(), content_type=prometheus_client.CONTENT_TYPE_LATEST)
