"""The audit log, for operators."""

from __future__ import annotations

from typing import Any

import flask

from access import changes
from access.changes import Filters
from api import contract, resources
from api.v1 import present
from api.v1.schemas import admin as schemas

blueprint = contract.Blueprint("audit", __name__, url_prefix="/admin/audit")


@blueprint.route("", methods=["GET"])
@blueprint.arguments(schemas.ChangesQuery(), location="query")
@blueprint.operation("listChanges", {200: schemas.Changes}, 401, 403, 404, 422, 429, 500, 503)
def list_changes(query: dict[str, Any]) -> flask.Response:
    """List who changed what.

    Every change to keys, tenants, tiers, adjustments, blocks, models and routes, newest first. Takes a key with the
    scope `admin`.
    """
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    page = changes.page(resources.here().engine, Filters(**query), limit=limit, cursor=cursor)
    return present.here().listed("changes", [vars(item) for item in page.items], next_cursor=page.next_cursor)
