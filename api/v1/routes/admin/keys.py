"""API keys of all tenants, for operators."""

from __future__ import annotations

import datetime as dt
from typing import Any

import flask

from access import derived, issued
from access import keys as access_keys
from access.bounds import Bounds
from api import context, contract, resources
from api.v1 import examples, present
from api.v1.schemas import keys as own
from api.v1.schemas import keys_of_all as schemas

blueprint = contract.Blueprint("admin_keys", __name__, url_prefix="/admin/keys")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(schemas.IssuedKeysQuery(), location="query")
@blueprint.operation("listIssuedKeys", {200: schemas.IssuedKeys}, 404, *BAD)
def list_keys(query: dict[str, Any]) -> flask.Response:
    """List the keys of all tenants, or of one.

    Newest first, without their secrets. Takes a key with the scope `admin`.
    """
    revoked = query.pop("status") == "all"
    page = issued.page(resources.here().engine, tenant=query.pop("tenant", None), revoked=revoked, **query)
    return present.here().listed("keys", [vars(item) for item in page.items], next_cursor=page.next_cursor)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(schemas.NewIssuedKey(), examples=examples.NEW_ISSUED_KEY)
@blueprint.no_query
@blueprint.operation("issueKey", {201: schemas.CreatedIssuedKey}, 400, 404, 409, 413, 415, *BAD)
def create(body: dict[str, Any]) -> flask.Response:
    """Make a key for a tenant.

    This answer is the only one that has it: if that is lost, revoke the key and make another one. One with the scope
    `admin` is as narrow as your own, and ends no later. Takes a key with the scope `admin`; written to the audit log.
    """
    here, life_s = resources.here(), body.get("expires_in_s")
    made = derived.create_for(
        here.engine,
        context.caller(),
        body["tenant"],
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
@blueprint.arguments(own.RotatedApiKey(), examples=examples.ROTATED_KEY)
@blueprint.no_query
@blueprint.operation("rotateIssuedKey", {201: schemas.CreatedIssuedKey}, 400, 404, 409, 413, 415, *BAD)
def rotate(body: dict[str, Any], key_id: str) -> flask.Response:
    """Make a key in the place of any tenant's.

    It may what the old one may, and ends when that would have; the old one ends after `overlap_s`. Takes a key with the
    scope `admin`; written to the audit log.
    """
    made = derived.rotate(
        resources.here().engine,
        key_id,
        overlap_s=body["overlap_s"],
        own=context.caller(),
        everywhere=True,
        by=context.actor(),
    )
    return _created(made)


@blueprint.route("/<key_id>", methods=["DELETE"])
@blueprint.no_query
@blueprint.operation("revokeIssuedKey", {200: schemas.RevokedKey}, 404, 409, *BAD)
def revoke(key_id: str) -> flask.Response:
    """End any tenant's key for good.

    It opens nothing any more, everywhere within 5 s. Also your own, which the answer says; but not the last one with
    the scope `admin`. Safe to repeat. Takes a key with the scope `admin`; written to the audit log.
    """
    context.nothing_in_body()
    engine = resources.here().engine
    since = access_keys.revoke(engine, key_id, by=context.actor())
    ended = issued.get(engine, key_id)
    return flask.jsonify({**vars(ended), "was_revoked": since is not None, "own": key_id == context.caller().key_id})


def _created(key: str) -> flask.Response:
    made = issued.get(resources.here().engine, access_keys.id_of(key))
    response = flask.jsonify({"key": key, **vars(made)})
    response.status_code = 201
    return response
