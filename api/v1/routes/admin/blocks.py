"""Blocks: who is held back for repeated errors, for operators."""

from __future__ import annotations

import flask

from access import blocks
from access.ladder import Ladder
from api import context, contract, resources
from api.v1 import present
from api.v1.schemas import admin as schemas

blueprint = contract.Blueprint("blocks", __name__, url_prefix="/admin/blocks")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["GET"])
@blueprint.no_query
@blueprint.operation("listBlocks", {200: schemas.Blocks}, *BAD)
def list_blocks() -> flask.Response:
    """List who is held back.

    Of all tenants, at most 10,000, those that are held longest first. Takes a key with the scope `admin`.
    """
    found = blocks.listed(resources.here().engine, Ladder())
    return present.here().listed("blocks", [vars(item) for item in found])


@blueprint.route("/<path:subject>", methods=["DELETE"])
@blueprint.no_query
@blueprint.operation("liftBlock", {204: "It is let go, which holds everywhere within two seconds"}, 404, *BAD)
def lift(subject: str) -> tuple[str, int]:
    """Let somebody go.

    Their errors from before are forgotten. Takes a key with the scope `admin`; written to the audit log.
    """
    context.nothing_in_body()
    blocks.lift(resources.here().engine, subject, context.actor())
    return "", 204
