"""What webhooks are signed with: shown, and made anew."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import flask

from api import context, contract, resources
from api.resources import Resources
from api.v1 import examples
from api.v1.routes.deliveries import find_endpoint
from api.v1.schemas import webhooks as schemas
from core import ids
from webhooks import endpoints, signing_keys
from webhooks.signing import PUBLIC, Key, Signing

blueprint = contract.Blueprint("webhook_keys", __name__, url_prefix="/webhooks")

BAD = (401, 403, 422, 429, 500, 503)
#: Stands for the tenant's jobs with a `webhook_url` of their own.
JOBS = "jobs"


@blueprint.route("/<endpoint:endpoint_id>/secret", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getWebhookSecret", {200: schemas.Keys}, 404, *BAD)
def secret(endpoint_id: str) -> flask.Response:
    """See what an endpoint's calls are signed with.

    `jobs` in the place of its id is for jobs with a `webhook_url` of their own.
    """
    here = resources.here()
    owner, signing = _owner(endpoint_id)
    with here.engine.begin() as connection:
        signing_keys.ensure(connection, here.seal, owner, signing)
    return flask.jsonify(shown(here, owner))


@blueprint.route("/<endpoint:endpoint_id>/rotate", methods=["POST"])
@blueprint.arguments(schemas.Rotation(), examples=examples.ROTATION)
@blueprint.no_query
@blueprint.operation("rotateWebhookSecret", {200: schemas.Keys}, 400, 404, 409, 413, 415, *BAD)
def rotate(body: dict[str, Any], endpoint_id: str) -> flask.Response:
    """Make a new key.

    For `overlap_s` everything is signed with the old one as well. `jobs` in the place of an endpoint's id is for jobs
    with a `webhook_url` of their own.
    """
    here = resources.here()
    owner, signing = _owner(endpoint_id)
    signing_keys.rotate(here.engine, here.seal, owner, signing, overlap_s=body["overlap_s"])
    return flask.jsonify(shown(here, owner))


@blueprint.route("/<endpoint:endpoint_id>/keys", methods=["GET"])
@blueprint.no_query
@blueprint.doc(security=[])
@blueprint.operation("getWebhookPublicKeys", {200: schemas.PublicKeys}, 404, 422, 500, 503)
def keys(endpoint_id: str) -> flask.Response:
    """See the public keys of a v1a endpoint.

    As a JSON Web Key Set (RFC 7517, 8037). No API key is needed.
    """
    here = resources.here()
    found = endpoints.public_keys(here.engine, here.seal, ids.parse_endpoint_id(endpoint_id))
    return flask.jsonify({"keys": [_jwk(item) for item in found]})


def _owner(endpoint_id: str) -> tuple[signing_keys.Owner, Signing]:
    if endpoint_id == JOBS:
        return (context.caller().tenant_id, None), Signing.V1
    found = find_endpoint(endpoint_id)
    return found.owner, found.signing


def shown(here: Resources, owner: signing_keys.Owner) -> dict[str, Any]:
    """The current key as v1 shows it, and those that are good for a while yet."""
    found = signing_keys.good(here.engine, here.seal, owner)
    previous = [{**_key(item.key), "retires_at": item.retires_at} for item in found if item.retires_at]
    return {**next((_key(item.key) for item in found if not item.retires_at), {}), "previous": previous}


def _key(key: Key) -> Mapping[str, str]:
    return {"public_key": key.public} if key.public else {"secret": key.secret}


def _jwk(public_key: str) -> dict[str, str]:
    raw = base64.b64decode(public_key.removeprefix(PUBLIC))
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "x": base64.urlsafe_b64encode(raw).decode().rstrip("=")}
