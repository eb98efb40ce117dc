"""API keys of one's own tenant."""

from __future__ import annotations

import datetime as dt
from typing import Any

import flask

from access import derived, issued
from access import keys as access_keys
from access.bounds import Bounds
from access.issued import Issued
from api import context, contract, resources
from api.v1 import examples, present
from api.v1.schemas import keys as schemas

blueprint = contract.Blueprint("keys", __name__, url_prefix="/keys")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["GET"])
@blueprint.no_query
@blueprint.operation("listKeys", {200: schemas.ApiKeys}, *BAD)
def list_keys() -> flask.Response:
    """List your keys.

    Those that open something, oldest first, without their secrets.
    """
    own = issued.listed(resources.here().engine, tenant_id=context.caller().tenant_id)
    return present.here().listed("keys", [_shown(item) for item in own])


@blueprint.route("", methods=["POST"])
@blueprint.arguments(schemas.NewApiKey(), examples=examples.NEW_KEY)
@blueprint.no_query
@blueprint.operation("createKey", {201: schemas.CreatedApiKey}, 400, 409, 413, 415, *BAD)
def create(body: dict[str, Any]) -> flask.Response:
    """Make a key.

    It may at most what yours may. This answer is the only one that has it: if that is lost, revoke the key and make
    another one.
    """
    here, own = resources.here(), context.caller()
    life_s = body.get("expires_in_s")
    made = derived.create(
        here.engine,
        own,
        name=body["name"],
        scopes=body.get("scopes"),
        bounds=Bounds.read(
            models=body.get("models"),
            networks=body.get("networks"),
            expires_at=None if life_s is None else here.clock.now() + dt.timedelta(seconds=life_s),
        ),
        by=context.actor(),
    )
    return _created(made)


@blueprint.route("/<key_id>/rotate", methods=["POST"])
@blueprint.arguments(schemas.RotatedApiKey(), examples=examples.ROTATED_KEY)
@blueprint.no_query
@blueprint.operation("rotateKey", {201: schemas.CreatedApiKey}, 400, 404, 409, 413, 415, *BAD)
def rotate(body: dict[str, Any], key_id: str) -> flask.Response:
    """Make a key in the place of one.

    It may what the old one may, and ends when that would have; the old one ends after `overlap_s`.
    """
    here, own = resources.here(), context.caller()
    made = derived.rotate(here.engine, key_id, overlap_s=body["overlap_s"], own=own, by=context.actor())
    return _created(made)


@blueprint.route("/<key_id>", methods=["DELETE"])
@blueprint.no_query
@blueprint.operation("revokeKey", {204: "It opens nothing any more, everywhere within 5 s"}, 404, 409, *BAD)
def revoke(key_id: str) -> tuple[str, int]:
    """End a key for good.

    Also your own, but not the last one with the scope `admin`. Safe to repeat.
    """
    context.nothing_in_body()
    access_keys.revoke(resources.here().engine, key_id, tenant_id=context.caller().tenant_id, by=context.actor())
    return "", 204


def _created(key: str) -> flask.Response:
    response = flask.jsonify({"key": key, **_shown(issued.get(resources.here().engine, access_keys.id_of(key)))})
    response.status_code = 201
    return response


def _shown(key: Issued) -> dict[str, Any]:
    """A key as v1 shows it."""
    return {name: value for name, value in vars(key).items() if name not in ("tenant", "tier", "revoked_at")}
