"""Units that tenants are given beside their tiers, for operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask
import sqlalchemy

from access import adjustments
from access.adjustments import Adjustment
from api import context, contract, once, resources
from api.v1 import examples, present
from api.v1.schemas import admin as schemas
from serving import once as serve

blueprint = contract.Blueprint("adjustments", __name__, url_prefix="/admin/adjustments")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(schemas.AdjustmentsQuery(), location="query")
@blueprint.operation("listAdjustments", {200: schemas.Adjustments}, 404, *BAD)
def list_adjustments(query: dict[str, Any]) -> flask.Response:
    """List what a tenant was given.

    Newest first. Takes a key with the scope `admin`.
    """
    page = adjustments.page(resources.here().engine, query.pop("tenant"), **query)
    return present.here().listed("adjustments", [_shown(item) for item in page.items], next_cursor=page.next_cursor)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(schemas.NewAdjustment(), examples=examples.NEW_ADJUSTMENT)
@blueprint.no_query
@contract.headers(Idempotency_Key=contract.ONCE)
@blueprint.operation(
    "createAdjustment", {201: schemas.Adjustment}, 400, 404, 409, 413, 415, *BAD, headers=contract.REPLAYED
)
def create(body: dict[str, Any]) -> flask.Response:
    """Give a tenant units for this month, or take them.

    They count within a second. With an `Idempotency-Key` they are given once, however often you ask. Takes a key with
    the scope `admin`; written to the audit log.
    """

    def make(connection: sqlalchemy.Connection) -> Mapping[str, Any]:
        made = adjustments.make(connection, body["tenant"], body["units"], body["reason"], context.actor())
        # As JSON has it, since it is kept with the key.
        return {**_shown(made), "created_at": made.created_at.isoformat()}

    made = serve.written(resources.here().engine, once.key("adjustments", body), make)
    response = flask.jsonify(made.value)
    response.status_code = 201
    return once.replayed(response) if made.again else response


def _shown(made: Adjustment) -> dict[str, Any]:
    return {**vars(made), "id": made.id.hex, "month": f"{made.month:%Y-%m}"}
