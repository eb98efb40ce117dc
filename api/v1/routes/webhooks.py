"""Webhooks: endpoints, and trying them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask
import sqlalchemy

from api import context, contract, once, resources
from api.resources import Resources
from api.v1 import examples, present
from api.v1.routes import webhook_keys
from api.v1.routes.deliveries import accepted, check_events, find_endpoint
from api.v1.schemas import webhooks as schemas
from core import ids
from serving import once as serve
from webhooks import deliveries, endpoints
from webhooks.endpoints import Endpoint

blueprint = contract.Blueprint("webhooks", __name__, url_prefix="/webhooks")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(schemas.NewEndpoint(), examples=examples.NEW_ENDPOINT)
@blueprint.no_query
@contract.headers(Idempotency_Key=contract.ONCE)
@blueprint.operation(
    "createWebhook", {201: schemas.CreatedEndpoint}, 400, 409, 413, 415, *BAD, headers=contract.REPLAYED
)
def create(body: dict[str, Any]) -> flask.Response:
    """Register an endpoint.

    The answer has what its calls are signed with. For `access.…` and `routes.…` it takes a key with the scope `admin`.
    """
    here = resources.here()
    check_events(body["events"])
    here.receivers.parse(body["url"])
    made = serve.written(here.engine, once.key("webhooks", body), lambda connection: _create(connection, here, body))
    # Read at each answer, so that no secret is kept with an Idempotency-Key.
    keys = webhook_keys.shown(here, (context.caller().tenant_id, ids.parse_endpoint_id(made.value["id"])))
    keys.pop("previous")
    response = flask.jsonify({**made.value, **keys})
    response.status_code = 201
    return once.replayed(response) if made.again else response


def _create(connection: sqlalchemy.Connection, here: Resources, body: dict[str, Any]) -> Mapping[str, Any]:
    return shown(endpoints.create(connection, here.seal, context.caller().tenant_id, **body))


@blueprint.route("", methods=["GET"])
@blueprint.no_query
@blueprint.operation("listWebhooks", {200: schemas.Endpoints}, *BAD)
def list_endpoints() -> flask.Response:
    """List your endpoints.

    Oldest first, without what their calls are signed with.
    """
    found = endpoints.of_tenant(resources.here().engine, context.caller().tenant_id)
    return present.here().listed("webhooks", [shown(item) for item in found])


@blueprint.route("/<endpoint:endpoint_id>", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getWebhook", {200: schemas.Endpoint}, 404, *BAD)
def show(endpoint_id: str) -> flask.Response:
    """See an endpoint.

    Whether it is on, since when its calls fail, and what it is called for.
    """
    return flask.jsonify(shown(find_endpoint(endpoint_id)))


@blueprint.route("/<endpoint:endpoint_id>", methods=["PATCH"])
@blueprint.arguments(schemas.ChangedEndpoint(), examples=examples.CHANGED_ENDPOINT)
@blueprint.no_query
@blueprint.operation("updateWebhook", {200: schemas.Endpoint}, 400, 404, 413, 415, *BAD)
def change(body: dict[str, Any], endpoint_id: str) -> flask.Response:
    """Change an endpoint, or switch it on and off.

    While it is off, what happens is kept as failed, and can be redelivered.
    """
    here = resources.here()
    # Who may not ask for some events may not have them sent elsewhere either.
    check_events([*find_endpoint(endpoint_id).events, *body.get("events", ())])
    if "url" in body:
        here.receivers.parse(body["url"])
    tenant_id = context.caller().tenant_id
    return flask.jsonify(shown(endpoints.change(here.engine, tenant_id, ids.parse_endpoint_id(endpoint_id), body)))


@blueprint.route("/<endpoint:endpoint_id>", methods=["DELETE"])
@blueprint.no_query
@blueprint.operation("deleteWebhook", {204: "It is no more; its deliveries stay in the log"}, 404, *BAD)
def delete(endpoint_id: str) -> tuple[str, int]:
    """Remove an endpoint.

    What waits for it fails; its deliveries stay in the log.
    """
    context.nothing_in_body()
    endpoints.delete(resources.here().engine, context.caller().tenant_id, ids.parse_endpoint_id(endpoint_id))
    return "", 204


@blueprint.route("/<endpoint:endpoint_id>/test", methods=["POST"])
@blueprint.no_query
@blueprint.operation("pingWebhook", {202: schemas.Delivery}, 404, 409, *BAD)
def test(endpoint_id: str) -> flask.Response:
    """Send a test event.

    A `webhook.test`; what came of it is at the delivery's address.
    """
    context.nothing_in_body()
    return accepted(deliveries.test(resources.here().engine, find_endpoint(endpoint_id)))


def shown(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as v1 shows it."""
    hidden = ("id", "tenant_id", "failures")
    facts = {name: value for name, value in vars(endpoint).items() if name not in hidden}
    return {"id": ids.endpoint_id(endpoint.id), **facts, "failures": endpoint.failures or 0}
