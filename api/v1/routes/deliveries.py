"""The log of deliveries, and asking for some again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flask

from api import context, contract, links, resources
from api.v1 import examples, present
from api.v1.schemas import webhooks as schemas
from core import broker, ids
from webhooks import deliveries, endpoints
from webhooks.deliveries import Delivery
from webhooks.endpoints import Endpoint
from webhooks.events import FOR_OPERATORS

blueprint = contract.Blueprint("deliveries", __name__, url_prefix="/webhooks")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("/deliveries", methods=["GET"])
@blueprint.arguments(schemas.AllDeliveriesQuery(), location="query")
@blueprint.operation("listDeliveries", {200: schemas.Deliveries}, 404, *BAD)
def list_all(query: dict[str, Any]) -> flask.Response:
    """List all deliveries, newest first.

    Also those to a job's own `webhook_url` and to deleted endpoints. Those of `access.…` and `routes.…` are there for
    keys with the scope `admin`.
    """
    if "job_id" in query:
        query["job_id"] = ids.parse_job_id(query["job_id"])
    return _page(query)


@blueprint.route("/<endpoint:endpoint_id>/deliveries", methods=["GET"])
@blueprint.arguments(schemas.DeliveriesQuery(), location="query")
@blueprint.operation("listWebhookDeliveries", {200: schemas.Deliveries}, 404, *BAD)
def list_of_endpoint(query: dict[str, Any], endpoint_id: str) -> flask.Response:
    """List an endpoint's deliveries.

    Newest first, also those that failed while it was off.
    """
    return _page({**query, "endpoint_id": find_endpoint(endpoint_id).id})


@blueprint.route("/deliveries/<delivery_id>", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getDelivery", {200: schemas.DeliveryInFull}, 404, *BAD)
def show(delivery_id: str) -> flask.Response:
    """See a delivery.

    With the text that is sent, and every attempt.
    """
    found = _find(delivery_id)
    calls = deliveries.attempts(resources.here().engine, found)
    return flask.jsonify({**_shown(found), "body": found.body, "attempts": [vars(item) for item in calls]})


@blueprint.route("/deliveries/<delivery_id>/redeliver", methods=["POST"])
@blueprint.no_query
@blueprint.operation("redeliver", {202: schemas.Delivery}, 404, 409, *BAD)
def redeliver(delivery_id: str) -> flask.Response:
    """Send a delivery again.

    From the start of the schedule, under the same `webhook-id`.
    """
    context.nothing_in_body()
    found = _find(delivery_id)
    return accepted(deliveries.redeliver(resources.here().engine, context.caller().tenant_id, found))


@blueprint.route("/<endpoint:endpoint_id>/redeliver", methods=["POST"])
@blueprint.arguments(schemas.Window(), examples=examples.WINDOW)
@blueprint.no_query
@blueprint.operation("redeliverWebhook", {202: schemas.Redelivered}, 400, 404, 409, 413, 415, *BAD)
def redeliver_since(body: dict[str, Any], endpoint_id: str) -> flask.Response:
    """Send an endpoint again what it missed.

    What failed in a window of time, the oldest first; with a `next_after`, there is more: ask once more with it as
    `after`. What it missed of `access.…` and `routes.…` is sent for keys with the scope `admin`.
    """
    here = resources.here()
    count, after = deliveries.redeliver_since(
        here.engine,
        find_endpoint(endpoint_id),
        body["since"],
        body.get("until") or here.clock.now(),
        after=int(body.get("after", 0)),
        delivered_too=body["status"] == "all",
        without=_hidden(),
    )
    here.hints.send(broker.WEBHOOKS)
    response = flask.jsonify({"count": count, "next_after": None if after is None else str(after)})
    response.status_code = 202
    return response


def accepted(delivery: Delivery) -> flask.Response:
    """The answer that it is on its way."""
    resources.here().hints.send(broker.WEBHOOKS)
    response = flask.jsonify(_shown(delivery))
    response.status_code = 202
    response.headers["Location"] = links.to("deliveries.show", delivery_id=ids.delivery_id(delivery.id))
    return response


def _page(filters: dict[str, Any]) -> flask.Response:
    limit = filters.pop("limit")
    if "before" in filters:
        filters["before"] = int(filters["before"])
    here, caller = resources.here(), context.caller()
    check_events([filters["event"]] if "event" in filters else ())
    if hidden := _hidden():
        filters["without"] = hidden
    found, before = deliveries.page(here.engine, caller.tenant_id, filters, limit=limit)
    shown = [_shown(item) for item in found]
    return present.here().listed("deliveries", shown, next_before=None if before is None else str(before))


def _find(delivery_id: str) -> Delivery:
    here = resources.here()
    found = deliveries.get(here.engine, context.caller().tenant_id, ids.parse_delivery_id(delivery_id))
    check_events([found.event])
    return found


def _hidden() -> list[str]:
    """The events that the caller is told nothing of."""
    return [] if "admin" in context.caller().scopes else list(FOR_OPERATORS)


def check_events(events: Sequence[str]) -> None:
    """Raises Forbidden where one is for operators, and the caller is none."""
    if endpoints.for_operators(events):
        context.caller().require("admin")


def find_endpoint(endpoint_id: str) -> Endpoint:
    """The caller's endpoint; raises WebhookNotFound."""
    here = resources.here()
    return endpoints.get(here.engine, context.caller().tenant_id, ids.parse_endpoint_id(endpoint_id))


def _shown(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": ids.delivery_id(delivery.id),
        "sequence": delivery.sequence,
        "event": delivery.event,
        "endpoint_id": ids.endpoint_id(delivery.endpoint_id) if delivery.endpoint_id else None,
        "url": delivery.url,
        "job_id": ids.job_id(delivery.job_id) if delivery.job_id else None,
        "status": delivery.status,
        "attempt": delivery.attempts,
        "next_at": delivery.next_at if delivery.status == "pending" else None,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "created_at": delivery.created_at,
        "finished_at": delivery.finished_at,
    }
