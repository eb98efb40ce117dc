"""Shadows beside stable versions, and how often versions were right, for operators."""

from __future__ import annotations

import flask

from api import contract, resources
from api.v1 import present
from api.v1.schemas import shadows as schemas
from jobs import quality
from jobs.shadows import pairs, report

blueprint = contract.Blueprint("shadows", __name__, url_prefix="/admin/shadows")
quality_blueprint = contract.Blueprint("quality", __name__, url_prefix="/admin/quality")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["GET"])
@blueprint.no_query
@blueprint.operation("listShadows", {200: schemas.Shadows}, *BAD)
def list_shadows() -> flask.Response:
    """List the shadows of which there is a comparison.

    Takes a key with the scope `admin`.
    """
    return present.here().listed("shadows", [vars(item) for item in pairs.names(resources.here().engine)])


@blueprint.route("/<name>/<shadow>", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getShadow", {200: schemas.Comparison}, 404, *BAD)
def show(name: str, shadow: str) -> flask.Response:
    """Compare a shadow with the stable version.

    Of what both were asked in the last 30 days, by the versions that they are now. Takes a key with the scope `admin`.
    """
    here = resources.here()
    here.catalog.model(name)
    return flask.jsonify(report.of(pairs.of(here.engine, name, shadow)))


@quality_blueprint.route("/<name>", methods=["GET"])
@quality_blueprint.no_query
@quality_blueprint.operation("getQuality", {200: schemas.Quality}, 404, *BAD)
def show_quality(name: str) -> flask.Response:
    """See how often a model's versions were right.

    As far as tenants said what was true. Takes a key with the scope `admin`.
    """
    here = resources.here()
    here.catalog.model(name)
    return flask.jsonify({"model": name, "versions": quality.of(here.engine, name)})
