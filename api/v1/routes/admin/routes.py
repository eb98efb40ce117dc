"""Routes: who gets which version of a model, for operators."""

from __future__ import annotations

from typing import Any

import flask
import sqlalchemy

from api import context, contract, resources
from api.v1 import examples
from api.v1.schemas import routes as schemas
from core import database
from registry import routing
from registry.judging import trials

blueprint = contract.Blueprint("routes", __name__, url_prefix="/admin/routes")

BAD = (401, 403, 404, 422, 429, 500, 503)


@blueprint.route("/<name>", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getRoutes", {200: schemas.Routes}, *BAD)
def show(name: str) -> flask.Response:
    """See who gets which version of a model.

    With the trials of its canaries: what was seen, and what came of it. Takes a key with the scope `admin`.
    """
    here = resources.here()
    here.catalog.model(name)
    with database.reading(here.engine) as connection:
        return _shown(connection, name)


@blueprint.route("/<name>", methods=["PATCH"])
@blueprint.arguments(schemas.ChangedRoutes(), examples=examples.CHANGED_ROUTES)
@blueprint.no_query
@blueprint.operation("updateRoutes", {200: schemas.Routes}, 400, 409, 413, 415, *BAD)
def change(body: dict[str, Any], name: str) -> flask.Response:
    """Change who gets which version of a model.

    What you do not give stays as it is; a list that you give is all there is of it afterwards. It holds within a
    second. Takes a key with the scope `admin`; written to the audit log.
    """
    here = resources.here()
    here.catalog.model(name)
    with database.writing(here.engine) as connection:
        routing.amend(connection, name, body, context.actor())
        return _shown(connection, name)


def _shown(connection: sqlalchemy.Connection, name: str) -> flask.Response:
    plan, found = routing.current(connection, name), trials.listed(connection, name)
    return flask.jsonify({"model": name, **plan.to_json(), "trials": [item.told() for item in found]})
