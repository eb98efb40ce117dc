"""Uploads: a place in the store for one file, which the client fills without us in between."""

from __future__ import annotations

from typing import Any

import flask

from api import docs, once, requests, resources
from api.parsing import Blueprint
from api.schemas import answers as out
from api.schemas import requests as into
from core import errors, ids
from jobs import uploads

blueprint = Blueprint("uploads", __name__, url_prefix="/api/v1/uploads", description="Hand in a file")
blueprint.before_request(requests.authenticate)

BAD = (401, 403, 422, 500, 503)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.NewUpload())
@blueprint.arguments(into.Nothing(), location="query", as_kwargs=True)
@docs.headers(Idempotency_Key=docs.ONCE)
@docs.answers(
    blueprint, {201: out.Upload}, 400, 409, 413, 415, *BAD, headers={"Idempotent-Replayed": "true for a stored answer"}
)
def create(body: dict[str, Any]) -> flask.Response:
    """A place for one file: POST `fields` and then the file, as `file`, to `url` (multipart/form-data) before
    `expires_at`."""
    here = resources.here()
    limit = here.settings.max_upload_bytes
    if body["size"] > limit:
        raise errors.InvalidInput.field("size", f"must be at most {limit} bytes", received=body["size"])
    return once.computed(here, once.key("uploads", body), lambda: _create(body))


def _create(body: dict[str, Any]) -> flask.Response:
    here = resources.here()
    place = uploads.create(
        here.engine,
        here.store,
        requests.caller().tenant_id,
        filename=body.get("filename"),
        content_type=body["content_type"],
        size=body["size"],
        sha256=body.get("sha256"),
        expires_s=here.settings.upload_s,
    )
    answer = {
        "upload_id": ids.upload_id(place.id),
        "url": place.url,
        "fields": place.fields,
        "expires_at": place.expires_at,
        "request_id": flask.g.request_id,
    }
    response = flask.jsonify(answer)
    response.status_code = 201
    return response
