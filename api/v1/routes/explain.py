"""Why a model answers as it does: the answer to one input, with its reasons."""

from __future__ import annotations

from typing import Any

import flask

from api import accepted, contract, negotiation, resources
from api.resources import Resources
from api.v1 import examples, present
from api.v1.routes.predict import ASKS, BAD, SERVED
from api.v1.schemas import answers as out
from api.v1.schemas import jobs as later
from api.v1.schemas import predict as into
from inference.explain import heat, picture
from inference.kinds import text
from inference.output import reasons
from serving import predict as serve
from serving.inputs import BEST
from serving.values import Answer, Served

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
    value = found.value
    why = reasons(value.said) if isinstance(value, Answer) else None
    if why is not None and accepted.wanted(accepted.JSON, accepted.SVG) == accepted.SVG:
        words = _words(here, value.served, body["inputs"])
        response.set_data((words and heat.heat(why, words)) or picture.waterfall(why))
        response.mimetype = accepted.SVG
    response.vary.add("Accept")
    return response


def _words(here: Resources, served: Served, inputs: Any) -> str | None:
    """The text that was asked about, of a model whose features are the words of one."""
    listed = here.catalog.listed(served.model, served.version)
    says = listed.manifest.explain if listed else None
    if listed is None or says is None or says.background is not None:
        return None
    return str(inputs.get(text.read(listed.manifest), ""))
