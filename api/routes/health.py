"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

import contextlib

import flask
import prometheus_client

from api import docs, resources
from api.parsing import Blueprint
from api.schemas import answers as out
from core import database
from core import metrics as counts

blueprint = Blueprint("health", __name__, description="For probes and scrapers")


@blueprint.route("/healthz", methods=["GET"])
@blueprint.doc(security=[])
@docs.answers(blueprint, {200: out.Health})
def healthz() -> flask.Response:
    """The process answers."""
    return flask.jsonify({"status": "healthy"})


@blueprint.route("/ready", methods=["GET"])
@blueprint.doc(security=[])
@docs.answers(blueprint, {200: out.Ready, 503: out.Ready})
def ready() -> flask.Response:
    """200 when requests can be answered: the database is there and the stable model opens. Without Redis jobs are still
    accepted, and run when it is back. Looked at once a second at most."""
    found = resources.here().readiness.get()
    response = flask.jsonify(found)
    response.status_code = 200 if found["status"] == "ready" else 503
    return response


@blueprint.route("/metrics", methods=["GET"])
@docs.answers(blueprint, {}, 401, 403, 429, 500, 503)
@blueprint.alt_response(200, description="Prometheus text", content_type=prometheus_client.CONTENT_TYPE_LATEST)
def metrics() -> flask.Response:
    """This process's metrics, and what the database says of webhooks, which is looked at once a second at most. Takes
    a key with the scope `metrics` or `admin`."""
    with contextlib.suppress(*database.OUTAGES):
        backlog = resources.here().backlog.get()
        counts.WEBHOOKS_PENDING.set(backlog.pending)
        counts.WEBHOOKS_OVERDUE.set(max(0.0, backlog.overdue_s))
        counts.ENDPOINTS_DISABLED.set(backlog.disabled)
    return flask.Response(prometheus_client.generate_latest(), content_type=prometheus_client.CONTENT_TYPE_LATEST)
