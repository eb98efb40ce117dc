"""Predictions now: inline where the model is light, otherwise through a job that we wait for."""

from __future__ import annotations

from typing import Any

import flask

from api import contract, negotiation, resources
from api.v1 import examples, present
from api.v1.schemas import answers as out
from api.v1.schemas import jobs as later
from api.v1.schemas import predict as into
from serving import predict as serve

blueprint = contract.Blueprint("predict", __name__, url_prefix="/predict")

SERVED = {
    "X-Model-Version": "The version that answered",
    "X-Model-Route": "Why it did: `pinned`, `stable`, `canary NAME` or `experiment NAME/VARIANT`",
    "Deprecation": "Since when the version that answered is deprecated (RFC 9745); only of one that is",
    "Sunset": "Until when it is meant to answer (RFC 8594); where that is known",
    "X-Cache": "Where the request or the model asks for kept answers: `hit` if all of them were kept, else `miss`, "
    "or `bypass` where nothing was looked for",
    "Preference-Applied": "What of `Prefer` was honoured",
    **contract.REPLAYED,
}
ASKS = {"Idempotency_Key": contract.ONCE, "X_Model_Version": contract.PIN, "X_Route_Key": contract.ROUTE_KEY}
BAD = (400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 500, 503)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.Predict(), examples=examples.PREDICT)
@blueprint.arguments(into.PredictQuery(), location="query", as_kwargs=True)
@contract.headers(**ASKS, Prefer=contract.PREFER)
@blueprint.operation("predict", {200: out.PREDICTION, 202: later.Ticket}, *BAD, headers=SERVED)
def predict(body: dict[str, Any], explain: str | None = None) -> flask.Response:
    """Predict one input, now.

    A model that is not inline is asked through a job, and waited for as long as `Prefer` says; then there is a ticket.
    """
    here = resources.here()
    ask = negotiation.ask("predict", body, {"body": body, "explain": explain})
    options = body["options"]
    found = serve.one(
        here.serving,
        ask,
        body["inputs"],
        explain=(explain, options.get("explain")),
        wants=negotiation.preference(here, respond_async=options.get("async_", False)),
        patience=negotiation.Waiting(here),
    )
    return present.here().reply(found)


@blueprint.route("/batch", methods=["POST"])
@blueprint.arguments(into.Batch(), examples=examples.BATCH)
@blueprint.no_query
@contract.headers(**ASKS, Prefer=contract.PREFER)
@blueprint.operation("predictBatch", {200: out.Predictions, 202: later.Ticket}, *BAD, headers=SERVED)
def predict_batch(body: dict[str, Any]) -> flask.Response:
    """Predict several inputs, now.

    With `return_errors: individual` a bad one spoils only its own answer.
    """
    here = resources.here()
    found = serve.several(
        here.serving,
        negotiation.ask("predict/batch", body),
        body["inputs"],
        explain=body["options"].get("explain"),
        return_errors=body["options"]["return_errors"],
        batch_size=body["options"]["batch_size"],
        wants=negotiation.preference(here),
        patience=negotiation.Waiting(here),
    )
    return present.here().reply(found)
