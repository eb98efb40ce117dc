"""Who changed what, as an operator's key reads it; and what the API and the command offer is the same."""

from __future__ import annotations

from collections.abc import Mapping

import flask

from api import EDITIONS
from core import audit
from core.audit import Actor
from tests import callers
from tests.api import world
from tests.api.administrator import Administrator
from tests.cli.conftest import COMMANDS
from tests.conftest import Platform


def test_changes_are_read_newest_first_a_page_at_a_time_while_there_are_new_ones(
    platform: Platform, admin: Administrator
) -> None:
    subject = callers.name("thing")
    for number in range(5):
        with platform.engine.begin() as connection:
            audit.record(connection, Actor("cli:root"), "thing.change", subject, after={"number": number})
    first = admin.get(f"audit?subject={subject}&limit=3")
    assert [item["after"]["number"] for item in first["changes"]] == [4, 3, 2]
    with platform.engine.begin() as connection:
        audit.record(connection, Actor("cli:root"), "thing.change", subject)
    second = admin.get(f"audit?subject={subject}&limit=3&cursor={first['next_cursor']}")
    assert [item["after"]["number"] for item in second["changes"]] == [1, 0]
    assert second["next_cursor"] is None
    (last,) = admin.get(f"audit?subject={subject}&limit=1")["changes"]
    assert (last["actor"], last["address"], last["tenant"], last["before"], last["after"]) == (
        "cli:root", None, None, None, None
    )  # fmt: skip


def test_they_are_told_apart_by_who_what_and_whose(platform: Platform, admin: Administrator) -> None:
    tenant = callers.name("tenant")
    admin.post("tenants", {"name": tenant})
    key_id = admin.post("keys", {"tenant": tenant, "name": "web"})["id"]
    admin.ask("DELETE", f"keys/{key_id}")
    for query, actions in (
        (f"tenant={tenant}", ["key.revoke", "key.create", "tenant.create"]),
        (f"actor=key:{admin.id}", ["key.revoke", "key.create", "tenant.create"]),
        (f"actor=key:{admin.id}&action=key.create", ["key.create"]),
        (f"subject=key:{key_id}", ["key.revoke", "key.create"]),
        (f"subject=key:{key_id}&tenant={tenant}&action=tenant.create", []),
        ("actor=nobody", []),
    ):
        assert [item["action"] for item in admin.get(f"audit?{query}")["changes"]] == actions, query
    assert admin.ask("GET", "audit?tenant=nobody").get_json()["error"]["code"] == "TENANT_NOT_FOUND"
    for name, value in (("subject", "%00"), ("actor", ""), ("action", "x" * 201), ("cursor", "-1"),
                        ("cursor", "9" * 19), ("cursor", "%EF%BC%91"), ("object", "x")):  # fmt: skip
        refused = admin.ask("GET", f"audit?{name}={value}")
        assert (refused.status_code, refused.get_json()["error"]["details"]["field"]) == (422, name), value


#: What operators do by the API, and by which command they do the same at the machine.
SAME: Mapping[str, str] = {
    "tenants.list_tenants": "tenants list", "tenants.create": "tenants create", "tenants.show": "tenants show",
    "tenants.change": "tenants change", "tiers.list_tiers": "tiers list", "tiers.create": "tiers create",
    "tiers.show": "tiers show", "tiers.change": "tiers change", "admin_keys.list_keys": "keys list",
    "admin_keys.create": "keys create", "admin_keys.rotate": "keys rotate", "admin_keys.revoke": "keys revoke",
    "adjustments.list_adjustments": "tenants adjustments", "adjustments.create": "adjust",
    "audit.list_changes": "audit",
    "blocks.list_blocks": "blocks list", "blocks.lift": "blocks lift",
    "shadows.list_shadows": "routes shadows", "shadows.show": "routes shadow", "quality.show_quality": "routes quality",
    "routes.show": "routes show", "routes.change": "apply",
}  # fmt: skip


def test_whatever_operators_do_by_the_api_there_is_a_command_for(app: flask.Flask) -> None:
    routes = {route.name for route in world.routes(app) if route.rule.rule.startswith("/api/v1/admin/")}
    assert routes == set(SAME)
    assert set(SAME.values()) <= {" ".join(path) for path in COMMANDS}
    groups = {"tenants", "tiers", "keys", "blocks"}
    assert {" ".join(path) for path in COMMANDS if path[0] in groups} <= set(SAME.values())


def test_every_change_by_the_api_is_in_the_log_with_who_and_from_where(
    platform: Platform, app: flask.Flask, quiet: None
) -> None:
    changing = [route for route in world.routes(app) if route.name in SAME and route.asked.changes and route.own]
    assert len(changing) == 10 * len(EDITIONS)
    for route in changing:
        owner = world.made(platform, app)
        by = Administrator(app, owner.key.token)
        before = by.get(f"audit?actor=key:{by.id}&limit=1")["changes"]
        answer = owner.ask(route, owner.key.headers)
        assert answer.status_code == route.asked.status, route
        (change,) = by.get(f"audit?actor=key:{by.id}&limit=1")["changes"]
        assert [change] != before, route
        assert change["address"] == "127.0.0.1", route
