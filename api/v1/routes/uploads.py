"""Uploads: a place in the store for one file, which the client fills without us in between."""

from __future__ import annotations

import datetime as dt
from typing import Any

import flask
import sqlalchemy

from api import context, contract, once, resources
from api.resources import Resources
from api.v1 import addresses, examples
from api.v1.schemas import requests as into
from api.v1.schemas import uploads as out
from core import ids
from jobs import uploads
from serving import once as serve
from serving import uploads as allowed

blueprint = contract.Blueprint("uploads", __name__, url_prefix="/uploads")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(into.NewUpload(), examples=examples.NEW_UPLOAD)
@blueprint.no_query
@contract.headers(Idempotency_Key=contract.ONCE)
@blueprint.operation("createUpload", {201: out.Upload}, 400, 409, 413, 415, *BAD, headers=contract.REPLAYED)
def create(body: dict[str, Any]) -> flask.Response:
    """Ask for a place for one file.

    POST `fields` and then the file, as `file`, to `url` (multipart/form-data) before `expires_at`.
    """
    here = resources.here()
    allowed.check(here.serving, context.caller(), content_type=body["content_type"], size=body["size"])
    # Before the file is on its way: a store without room would say 500, and only when it has been sent.
    here.takes_files.get()
    made = serve.written(here.engine, once.key("uploads", body), lambda connection: _create(connection, here, body))
    addresses.check_signing(here)
    # Signed at each answer, so that no signature is kept with an Idempotency-Key; what has expired stays closed.
    expires_at = made.value["expires_at"]
    left_s = (dt.datetime.fromisoformat(expires_at) - dt.datetime.now(dt.UTC)).total_seconds()
    form = uploads.form(
        here.store,
        ids.parse_upload_id(made.value["upload_id"]),
        content_type=body["content_type"],
        size=body["size"],
        sha256=body.get("sha256"),
        expires_s=int(left_s),
    )
    response = flask.jsonify({**made.value, "url": form["url"], "fields": form["fields"]})
    response.status_code = 201
    return once.replayed(response) if made.again else response


def _create(connection: sqlalchemy.Connection, here: Resources, body: dict[str, Any]) -> dict[str, Any]:
    caller = context.caller()
    upload_id, expires_at = uploads.create(
        connection,
        caller.tenant_id,
        caller.tier,
        filename=body.get("filename"),
        content_type=body["content_type"],
        size=body["size"],
        sha256=body.get("sha256"),
        expires_s=here.settings.files.upload_s,
    )
    return {
        "upload_id": ids.upload_id(upload_id),
        "content_type": body["content_type"],
        "expires_at": expires_at.isoformat(),
        "request_id": flask.g.request_id,
    }
