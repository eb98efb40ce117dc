"""Tenants, for operators: who there is, and of which tier."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import flask

from access import quota, tenants
from access.quota import Standing
from api import context, contract, links, resources
from api.v1 import examples, present
from api.v1.schemas import admin as schemas

blueprint = contract.Blueprint("tenants", __name__, url_prefix="/admin/tenants")

BAD = (401, 403, 422, 429, 500, 503)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(schemas.Pages(), location="query")
@blueprint.operation("listTenants", {200: schemas.Tenants}, *BAD)
def list_tenants(query: dict[str, Any]) -> flask.Response:
    """List all tenants.

    By name. Takes a key with the scope `admin`.
    """
    page = tenants.page(resources.here().engine, **query)
    return present.here().listed("tenants", [vars(item) for item in page.items], next_cursor=page.next_cursor)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(schemas.NewTenant(), examples=examples.NEW_TENANT)
@blueprint.no_query
@blueprint.operation(
    "createTenant", {201: schemas.TenantInFull}, 400, 409, 413, 415, *BAD, headers={"Location": "The tenant"}
)
def create(body: dict[str, Any]) -> flask.Response:
    """Make a tenant.

    It has no keys yet. If an answer is lost, ask again: 409 then says that it was made. Takes a key with the scope
    `admin`; written to the audit log.
    """
    tenants.create(resources.here().engine, body["name"], body["tier"], context.actor())
    response = _in_full(body["name"])
    response.status_code = 201
    response.headers["Location"] = links.to("tenants.show", tenant=quote(body["name"], safe=""))
    return response


@blueprint.route("/<whole:tenant>", methods=["GET"])
@blueprint.no_query
@blueprint.operation("getTenant", {200: schemas.TenantInFull}, 404, *BAD)
def show(tenant: str) -> flask.Response:
    """See a tenant.

    With its tier, how many keys open something, and what it has used this month. Takes a key with the scope `admin`.
    """
    return _in_full(tenant)


@blueprint.route("/<whole:tenant>", methods=["PATCH"])
@blueprint.arguments(schemas.ChangedTenant(), examples=examples.CHANGED_TENANT)
@blueprint.no_query
@blueprint.operation("updateTenant", {200: schemas.TenantInFull}, 400, 404, 413, 415, *BAD)
def change(body: dict[str, Any], tenant: str) -> flask.Response:
    """Give a tenant another tier.

    It holds within 5 s; jobs that are accepted keep their places and their ends. Takes a key with the scope `admin`;
    written to the audit log.
    """
    tenants.change(resources.here().engine, tenant, tier=body["tier"], by=context.actor())
    return _in_full(tenant)


def _in_full(name: str) -> flask.Response:
    engine = resources.here().engine
    return flask.jsonify({**vars(tenants.get(engine, name)), "month": _month(quota.of_tenant(engine, name))})


def _month(standing: Standing) -> dict[str, Any]:
    return {
        "units": standing.limit or None,
        "most": standing.most or None,
        "used": standing.used,
        "resets_at": standing.resets_at,
    }
