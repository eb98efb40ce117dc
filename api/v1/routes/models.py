"""Which models there are, what they take, and how one is published."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import flask

from api import context, contract, once, resources
from api.v1 import examples, present
from api.v1.schemas import answers as out
from api.v1.schemas import jobs as jobs_out
from api.v1.schemas import requests as into
from serving import publish as serve
from serving.values import Ask

blueprint = contract.Blueprint("models", __name__, url_prefix="/models")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["GET"])
@blueprint.no_query
@blueprint.operation("listModels", {200: out.Models}, *BAD)
def list_models() -> flask.Response:
    """List all models.

    With their versions, and which of them is stable.
    """
    grouped = groupby(resources.here().catalog.versions(), key=lambda item: item.model)
    shown = present.here()
    return shown.listed("models", [shown.model(list(items)) for _, items in grouped])


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.NewVersion(), examples=examples.NEW_VERSION)
@blueprint.no_query
@contract.headers(Idempotency_Key=contract.ONCE)
@blueprint.operation("publishModel", {202: jobs_out.Ticket}, 400, 404, 409, 413, 415, *BAD, headers=contract.TICKET)
def publish(body: dict[str, Any]) -> flask.Response:
    """Publish a version of a model, with a key that may.

    The job that this answers with checks the bundle, tries it with its golden examples, and lists it: see its
    `result`, or its `error` if the bundle is refused.
    """
    ask = Ask(context.caller(), flask.g.request_id, body["model"], body["version"], once.key("models", body))
    return present.here().reply(serve.publish(resources.here().serving, ask, body["upload_id"], stable=body["stable"]))


@blueprint.route("/<name>", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getModel", {200: out.ModelInFull}, 404, *BAD)
def show_model(name: str) -> flask.Response:
    """See a model and its versions.

    With what its stable version takes and answers, and something to try.
    """
    return flask.jsonify(present.here().model_in_full(resources.here().catalog.model(name)))


@blueprint.route("/<name>/versions/<version>", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getModelVersion", {200: out.Version}, 404, 410, *BAD)
def show_version(name: str, version: str) -> flask.Response:
    """See a version of a model.

    `input_schema` is the JSON Schema of what it takes, `output_schema` that of what it answers, and `example` is
    something to try.
    """
    return present.here().version(resources.here().catalog.version(name, version))
