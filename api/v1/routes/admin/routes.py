"""Routes: who gets which version of a model, for operators."""

from __future__ import annotations

import flask

from api import contract, resources
from api.v1.schemas import routes as schemas
from core import database
from registry import routing
from registry.judging import trials

blueprint = contract.Blueprint("routes", __name__, url_prefix="/admin/routes")


@blueprint.route("/<name>", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getRoutes", {200: schemas.Routes}, 401, 403, 404, 422, 429, 500, 503)
def show(name: str) -> flask.Response:
    """See who gets which version of a model.

    With the trials of its canaries: what was seen, and what came of it. Takes a key with the scope `admin`.
    """
    here = resources.here()
    here.catalog.model(name)
    with database.writing(here.engine) as connection:
        plan, found = routing.current(connection, name), trials.listed(connection, name)
    return flask.jsonify({"model": name, **plan.to_json(), "trials": [item.told() for item in found]})
