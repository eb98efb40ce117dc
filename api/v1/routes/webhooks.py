"""Webhooks: endpoints, their keys, and trying them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import flask

from api import context, contract, once, resources
from api.resources import Resources
from api.v1 import PREFIX, examples
from api.v1.routes.deliveries import accepted, find_endpoint
from api.v1.schemas import requests as into
from api.v1.schemas import webhooks as schemas
from core import ids
from serving import once as serve
from webhooks import deliveries, endpoints, signing_keys
from webhooks.endpoints import Endpoint
from webhooks.signing import PUBLIC, Key, Signing

blueprint = contract.Blueprint("webhooks", __name__, url_prefix=f"{PREFIX}/webhooks")
public = contract.Blueprint("webhook_keys", __name__, url_prefix=f"{PREFIX}/webhooks")

BAD = (401, 403, 422, 429, 500, 503)
#: Stands for the tenant's jobs with a `webhook_url` of their own.
JOBS = "jobs"


@blueprint.route("", methods=["POST"])
@blueprint.arguments(schemas.NewEndpoint(), examples=examples.NEW_ENDPOINT)
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@contract.headers(Idempotency_Key=contract.ONCE)
@blueprint.operation(
    "createWebhook", {201: schemas.CreatedEndpoint}, 400, 409, 413, 415, *BAD, headers=contract.REPLAYED
)
def create(body: dict[str, Any]) -> flask.Response:
    """Register an endpoint.

    The answer has what its calls are signed with.
    """
    here = resources.here()
    here.receivers.parse(body["url"])
    made = serve.computed(
        here.engine, once.key("webhooks", body), lambda: _create(here, body), kept=dict, read=serve.of_any_release
    )
    # Read at each answer, so that no secret is kept with an Idempotency-Key.
    keys = _keys(here, (context.caller().tenant_id, ids.parse_endpoint_id(made.value["id"])))
    keys.pop("previous")
    response = flask.jsonify({**made.value, **keys})
    response.status_code = 201
    return once.replayed(response) if made.again else response


def _create(here: Resources, body: dict[str, Any]) -> Mapping[str, Any]:
    signing = Signing(body.pop("signing"))
    made = endpoints.create(here.engine, here.seal, context.caller().tenant_id, signing=signing, **body)
    return shown(made)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@blueprint.operation("listWebhooks", {200: schemas.Endpoints}, *BAD)
def list_endpoints() -> flask.Response:
    """List your endpoints.

    Oldest first, without what their calls are signed with.
    """
    found = endpoints.of_tenant(resources.here().engine, context.caller().tenant_id)
    return flask.jsonify({"webhooks": [shown(item) for item in found]})


@blueprint.route("/<endpoint:endpoint_id>", methods=["GET"])
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@blueprint.operation("getWebhook", {200: schemas.Endpoint}, 404, *BAD)
def show(endpoint_id: str) -> flask.Response:
    """See an endpoint.

    Whether it is on, since when its calls fail, and what it is called for.
    """
    return flask.jsonify(shown(find_endpoint(endpoint_id)))


@blueprint.route("/<endpoint:endpoint_id>", methods=["PATCH"])
@blueprint.arguments(schemas.ChangedEndpoint(), examples=examples.CHANGED_ENDPOINT)
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@blueprint.operation("updateWebhook", {200: schemas.Endpoint}, 400, 404, 413, 415, *BAD)
def change(body: dict[str, Any], endpoint_id: str) -> flask.Response:
    """Change an endpoint, or switch it on and off.

    While it is off, what happens is kept as failed, and can be redelivered.
    """
    here = resources.here()
    if "url" in body:
        here.receivers.parse(body["url"])
    tenant_id = context.caller().tenant_id
    return flask.jsonify(shown(endpoints.change(here.engine, tenant_id, ids.parse_endpoint_id(endpoint_id), body)))


@blueprint.route("/<endpoint:endpoint_id>", methods=["DELETE"])
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@blueprint.operation("deleteWebhook", {204: "It is no more; its deliveries stay in the log"}, 404, *BAD)
def delete(endpoint_id: str) -> tuple[str, int]:
    """Remove an endpoint.

    What waits for it fails; its deliveries stay in the log.
    """
    context.nothing_in_body()
    endpoints.delete(resources.here().engine, context.caller().tenant_id, ids.parse_endpoint_id(endpoint_id))
    return "", 204


@blueprint.route("/<endpoint:endpoint_id>/secret", methods=["GET"])
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@blueprint.operation("getWebhookSecret", {200: schemas.Keys}, 404, *BAD)
def secret(endpoint_id: str) -> flask.Response:
    """See what an endpoint's calls are signed with.

    `jobs` in the place of its id is for jobs with a `webhook_url` of their own.
    """
    here = resources.here()
    owner, signing = _owner(endpoint_id)
    with here.engine.begin() as connection:
        signing_keys.ensure(connection, here.seal, owner, signing)
    return flask.jsonify(_keys(here, owner))


@blueprint.route("/<endpoint:endpoint_id>/rotate", methods=["POST"])
@blueprint.arguments(schemas.Rotation(), examples=examples.ROTATION)
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@blueprint.operation("rotateWebhookSecret", {200: schemas.Keys}, 400, 404, 409, 413, 415, *BAD)
def rotate(body: dict[str, Any], endpoint_id: str) -> flask.Response:
    """Make a new key.

    For `overlap_s` everything is signed with the old one as well. `jobs` in the place of an endpoint's id is for jobs
    with a `webhook_url` of their own.
    """
    here = resources.here()
    owner, signing = _owner(endpoint_id)
    signing_keys.rotate(here.engine, here.seal, owner, signing, overlap_s=body["overlap_s"])
    return flask.jsonify(_keys(here, owner))


@blueprint.route("/<endpoint:endpoint_id>/test", methods=["POST"])
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@blueprint.operation("pingWebhook", {202: schemas.Delivery}, 404, 409, *BAD)
def test(endpoint_id: str) -> flask.Response:
    """Send a test event.

    A `webhook.test`; what came of it is at the delivery's address.
    """
    context.nothing_in_body()
    return accepted(deliveries.test(resources.here().engine, find_endpoint(endpoint_id)))


@public.route("/<endpoint:endpoint_id>/keys", methods=["GET"])
@public.arguments(into.Nothing(), location="query", as_kwargs=True)
@public.doc(security=[])
@public.operation("getWebhookPublicKeys", {200: schemas.PublicKeys}, 404, 422, 500, 503)
def keys(endpoint_id: str) -> flask.Response:
    """See the public keys of a v1a endpoint.

    As a JSON Web Key Set (RFC 7517, 8037). No API key is needed.
    """
    here = resources.here()
    found = endpoints.public_keys(here.engine, here.seal, ids.parse_endpoint_id(endpoint_id))
    return flask.jsonify({"keys": [_jwk(item) for item in found]})


def shown(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as v1 shows it."""
    hidden = ("id", "tenant_id", "failures")
    facts = {name: value for name, value in vars(endpoint).items() if name not in hidden}
    return {"id": ids.endpoint_id(endpoint.id), **facts, "failures": endpoint.failures or 0}


def _owner(endpoint_id: str) -> tuple[signing_keys.Owner, Signing]:
    if endpoint_id == JOBS:
        return (context.caller().tenant_id, None), Signing.V1
    found = find_endpoint(endpoint_id)
    return found.owner, found.signing


def _keys(here: Resources, owner: signing_keys.Owner) -> dict[str, Any]:
    """The current key, and those that are good for a while yet."""
    found: Sequence[signing_keys.Secret] = signing_keys.good(here.engine, here.seal, owner)
    previous = [{**_key(item.key), "retires_at": item.retires_at} for item in found if item.retires_at]
    return {**next((_key(item.key) for item in found if not item.retires_at), {}), "previous": previous}


def _key(key: Key) -> Mapping[str, str]:
    return {"public_key": key.public} if key.public else {"secret": key.secret}


def _jwk(public_key: str) -> dict[str, str]:
    raw = base64.b64decode(public_key.removeprefix(PUBLIC))
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "x": base64.urlsafe_b64encode(raw).decode().rstrip("=")}
