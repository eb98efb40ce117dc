"""Tiers, for operators: what tenants may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import flask

from access import tiers
from api import context, contract, links, resources
from api.v1 import examples, present
from api.v1.schemas import tiers as schemas

blueprint = contract.Blueprint("tiers", __name__, url_prefix="/admin/tiers")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["GET"])
@blueprint.no_query
@blueprint.operation("listTiers", {200: schemas.Tiers}, *BAD)
def list_tiers() -> flask.Response:
    """List all tiers.

    With their limits, by name. Takes a key with the scope `admin`.
    """
    return present.here().listed("tiers", [_shown(row) for row in tiers.listed(resources.here().engine)])


@blueprint.route("", methods=["POST"])
@blueprint.arguments(schemas.NewTier(), examples=examples.NEW_TIER)
@blueprint.no_query
@blueprint.operation("createTier", {201: schemas.Tier}, 400, 409, 413, 415, *BAD, headers={"Location": "The tier"})
def create(body: dict[str, Any]) -> flask.Response:
    """Make a tier.

    A copy of another, but for what you give. If an answer is lost, ask again: 409 then says that it was made. Takes a
    key with the scope `admin`; written to the audit log.
    """
    name, like = body.pop("name"), body.pop("like")
    response = flask.jsonify(
        _shown(tiers.create(resources.here().engine, name, like=like, given=body, by=context.actor()))
    )
    response.status_code = 201
    response.headers["Location"] = links.to("tiers.show", tier=quote(name, safe=""))
    return response


@blueprint.route("/<whole:tier>", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getTier", {200: schemas.Tier}, 404, *BAD)
def show(tier: str) -> flask.Response:
    """See a tier.

    With all its limits. Takes a key with the scope `admin`.
    """
    return flask.jsonify(_shown(tiers.get(resources.here().engine, tier)))


@blueprint.route("/<whole:tier>", methods=["PATCH"])
@blueprint.arguments(schemas.ChangedTier(), examples=examples.CHANGED_TIER)
@blueprint.no_query
@blueprint.operation("updateTier", {200: schemas.Tier}, 400, 404, 413, 415, *BAD)
def change(body: dict[str, Any], tier: str) -> flask.Response:
    """Change a tier, for all its tenants.

    What you do not give stays as it is. It holds within 5 s, also for the tenant of your own key; each limit leaves at
    least one request a minute. Takes a key with the scope `admin`; written to the audit log.
    """
    _, after = tiers.change(resources.here().engine, tier, body, context.actor())
    return flask.jsonify(_shown(after))


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "unit_price": float(row["unit_price"])}
