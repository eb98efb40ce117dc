"""Is it alive, is it ready, what does it count. No key needed."""

from __future__ import annotations

import contextlib

import flask
import prometheus_client
from sqlalchemy import text

from api import docs, resources
from api.parsing import Blueprint
from api.resources import Resources
from api.schemas import answers as out
from core import database, errors
from core import metrics as counts
from webhooks import outbox

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
    accepted, and run when it is back."""
    here = resources.here()
    checks = {"database": _database(here), "redis": here.line.ping(), "storage": here.store.ping()}
    loaded = checks["database"] and _opens(here)
    good = checks["database"] and loaded
    body = {"status": "ready" if good else "unavailable", "model_loaded": loaded, "models": here.catalog.loaded()}
    response = flask.jsonify({**body, "checks": checks})
    response.status_code = 200 if good else 503
    return response


@blueprint.route("/metrics", methods=["GET"])
@blueprint.doc(security=[])
@blueprint.alt_response(200, description="Prometheus text", content_type=prometheus_client.CONTENT_TYPE_LATEST)
def metrics() -> flask.Response:
    """This process's metrics, and what the database says of webhooks."""
    with contextlib.suppress(*database.OUTAGES):
        backlog = outbox.backlog(resources.here().engine)
        counts.WEBHOOKS_PENDING.set(backlog.pending)
        counts.WEBHOOKS_OVERDUE.set(max(0.0, backlog.overdue_s))
        counts.ENDPOINTS_DISABLED.set(backlog.disabled)
    return flask.Response(prometheus_client.generate_latest(), content_type=prometheus_client.CONTENT_TYPE_LATEST)


def _database(here: Resources) -> bool:
    try:
        with here.engine.connect() as connection:
            return bool(connection.execute(text("SELECT true")).scalar())
    except database.OUTAGES:
        return False


def _opens(here: Resources) -> bool:
    try:
        inline = [item for item in here.catalog.versions() if item.stable and item.manifest.inline]
        for item in inline:
            here.catalog.open(here.catalog.resolve(item.model, item.version))
    except errors.CoatcheckError:
        return False
    return bool(inline)
