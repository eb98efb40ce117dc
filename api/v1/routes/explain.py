"""Why a model answers as it does: the answer to one input, with its reasons."""

from __future__ import annotations

from typing import Any

import flask

from api import accepted, contract, negotiation, resources
from api.v1 import examples, present
from api.v1.routes.predict import ASKS, BAD, SERVED
from api.v1.schemas import answers as out
from api.v1.schemas import jobs as later
from api.v1.schemas import predict as into
from inference.explain import picture
from inference.output import Label, Numbers
from serving import predict as serve
from serving.inputs import BEST
from serving.values import Answer

blueprint = contract.Blueprint("explain", __name__, url_prefix="/explain")


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.Explained(), examples=examples.EXPLAIN)
@blueprint.no_query
@contract.headers(**ASKS, Prefer=contract.PREFER)
@blueprint.operation("explain", {200: out.PREDICTION, 202: later.Ticket}, *BAD, headers=SERVED, also=accepted.SVG)
def explain(body: dict[str, Any]) -> flask.Response:
    """Predict one input, and say why.

    As `POST /api/v1/predict` with `options.explain`, which is here the best level that the model offers unless it says
    another one. What takes many questions to the model is a job, and waited for as long as `Prefer` says. As a picture
    with `Accept: image/svg+xml`, where the level is `shap`; a ticket, and scores alone, are JSON.
    """
    here = resources.here()
    options = body["options"]
    found = serve.one(
        here.serving,
        negotiation.ask("explain", body),
        body["inputs"],
        explain=(options.get("explain", BEST),),
        wants=negotiation.preference(here, respond_async=options.get("async_", False)),
        patience=negotiation.Waiting(here),
    )
    response = present.here().reply(found)
    said = found.value.said if isinstance(found.value, Answer) else None
    why = said.explained if isinstance(said, Label | Numbers) else None
    if why is not None and accepted.wanted(accepted.JSON, accepted.SVG) == accepted.SVG:
        response.set_data(picture.waterfall(why))
        response.mimetype = accepted.SVG
    response.vary.add("Accept")
    return response
