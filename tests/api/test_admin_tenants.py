"""Tenants and their units, by an operator's key."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import flask
import pytest

from access import keys
from access.keys import Keyring
from tests import callers
from tests.api.administrator import Administrator
from tests.api.world import GOOD
from tests.conftest import Platform
from tests.statements import digest


def test_a_tenant_is_made_seen_and_given_another_tier_which_its_keys_have_then(
    platform: Platform, admin: Administrator
) -> None:
    name = callers.name("tenant")
    made = admin.ask("POST", "tenants", {"name": name, "tier": "pro"})
    assert (made.status_code, made.headers["Location"]) == (201, f"/api/v1/admin/tenants/{name}")
    told = made.get_json()
    assert (told["name"], told["tier"], told["keys"]) == (name, "pro", 0)
    assert (told["month"]["units"], told["month"]["most"], told["month"]["used"]) == (None, None, 0)
    assert admin.ask("POST", "tenants", {"name": name}).get_json()["error"]["code"] == "TENANT_CONFLICT"
    token = admin.post("keys", {"tenant": name, "name": "web"})["key"]
    free = admin.patch(f"tenants/{name}", {"tier": "free"})
    assert (free["tier"], free["keys"]) == ("free", 1)
    assert (free["month"]["units"], free["month"]["most"]) == (1_000_000, 1_100_000)
    assert Keyring(platform.engine).verify(token).tier.name == "free"
    changes = admin.get(f"audit?subject=tenant:{name}")["changes"]
    assert [(item["action"], item["before"], item["after"]) for item in changes] == [
        ("tenant.change", {"tier": "pro"}, {"tier": "free"}), ("tenant.create", None, {"tier": "pro"}),
    ]  # fmt: skip
    assert {(item["actor"], item["address"]) for item in changes} == {(f"key:{admin.id}", "192.0.2.9")}


@pytest.mark.parametrize(
    "name", ["/x", "a//b", "a/", "https://id.example/u?a=1#b", "50 %", "é 漢", "..", "a;b", "adjustments"]
)
def test_whatever_its_name_a_tenant_is_found_by_it(platform: Platform, admin: Administrator, name: str) -> None:
    name = f"{name}{callers.name('-')}" if name[-1] not in "/." else f"{callers.name('t')}{name}"
    made = admin.ask("POST", "tenants", {"name": name})
    where = made.headers["Location"].removeprefix("/api/v1/admin/")
    assert where == f"tenants/{quote(name, safe='')}"
    assert admin.get(where)["name"] == name
    assert admin.patch(where, {"tier": "internal"})["tier"] == "internal"
    assert admin.get(f"adjustments?tenant={quote(name)}") == {"adjustments": [], "next_cursor": None}


def test_tenants_are_read_a_page_at_a_time_by_name(platform: Platform, admin: Administrator) -> None:
    made = sorted(callers.key(platform).tenant for _ in range(5))
    found: list[str] = []
    cursor = "tenant"
    while cursor:
        page = admin.get(f"tenants?limit=2&cursor={quote(cursor)}")
        assert len(page["tenants"]) <= 2
        found += [item["name"] for item in page["tenants"]]
        cursor = page["next_cursor"]
    assert len(set(found)) == len(found)
    assert set(made) <= set(found)
    for bad in ("%00", " a", "a%0A"):
        refused = admin.ask("GET", f"tenants?cursor={bad}")
        assert (refused.status_code, refused.get_json()["error"]["details"]["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "tenants", {"name": None}, "name"), ("POST", "tenants", {"name": " a"}, "name"),
        ("POST", "tenants", {"name": "a\u0000"}, "name"), ("POST", "tenants", {"name": "a\u202eb"}, "name"),
        ("POST", "tenants", {"name": "x" * 101}, "name"), ("POST", "tenants", {"name": 5}, "name"),
        ("POST", "tenants", {"name": "n", "tier": "gold"}, "tier"),
        ("POST", "tenants", {"name": "n", "tier": None}, "tier"),
        ("POST", "tenants", {"name": "n", "id": 5}, "id"), ("PATCH", "tenants/{}", {}, "tier"),
        ("PATCH", "tenants/{}", {"tier": "gold"}, "tier"),
        ("PATCH", "tenants/{}", {"name": "n", "tier": "pro"}, "name"),
        ("POST", "adjustments", {"units": 0, "reason": "r"}, "units"),
        ("POST", "adjustments", {"units": 2**53 + 1, "reason": "r"}, "units"),
        ("POST", "adjustments", {"units": -(2**53) - 1, "reason": "r"}, "units"),
        ("POST", "adjustments", {"units": 1.5, "reason": "r"}, "units"),
        ("POST", "adjustments", {"units": True, "reason": "r"}, "units"),
        ("POST", "adjustments", {"units": None, "reason": "r"}, "units"),
        ("POST", "adjustments", {"units": 1, "reason": ""}, "reason"),
        ("POST", "adjustments", {"units": 1, "reason": "a\nb"}, "reason"),
        ("POST", "adjustments", {"units": 1, "reason": "x" * 201}, "reason"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_field_and_nothing_has_changed(
    platform: Platform, admin: Administrator, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    tenant = callers.key(platform).tenant
    before = digest(platform)
    refused = admin.ask(method, path.format(tenant), {"tenant": tenant, **body} if path == "adjustments" else body)
    assert (refused.status_code, refused.get_json()["error"]["details"]["field"]) == (422, field), refused.text
    assert digest(platform) == before


def test_units_that_a_tenant_is_given_count_in_its_month_and_are_listed(
    platform: Platform, admin: Administrator
) -> None:
    tenant = callers.name("tenant")
    admin.post("tenants", {"name": tenant})
    made = [
        admin.post("adjustments", {"tenant": tenant, "units": units, "reason": f"r{units}"}) for units in (500, -100, 7)
    ]
    assert admin.get(f"tenants/{tenant}")["month"]["used"] == -407
    page = admin.get(f"adjustments?tenant={tenant}&limit=2")
    assert page["adjustments"] == made[:0:-1]
    last = admin.get(f"adjustments?tenant={tenant}&cursor={page['next_cursor']}")
    assert last == {"adjustments": made[:1], "next_cursor": None}
    change = admin.get(f"audit?subject=tenant:{tenant}&action=quota.adjust&limit=1")["changes"][0]
    assert (change["actor"], change["after"]) == (
        f"key:{admin.id}", {"month": made[2]["month"] + "-01", "units": 7, "reason": "r7"}
    )  # fmt: skip
    assert admin.ask("GET", f"adjustments?tenant={tenant}&cursor=x").status_code == 422
    assert admin.ask("GET", "adjustments").get_json()["error"]["details"]["field"] == "tenant"


def test_units_are_given_once_under_one_idempotency_key(platform: Platform, admin: Administrator) -> None:
    tenant = callers.key(platform).tenant
    body = {"tenant": tenant, "units": 5, "reason": "r"}
    first = admin.ask("POST", "adjustments", body, Idempotency_Key="gift")
    again = admin.ask("POST", "adjustments", body, Idempotency_Key="gift")
    assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    other = admin.ask("POST", "adjustments", {**body, "units": 6}, Idempotency_Key="gift")
    assert other.get_json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert len(admin.get(f"adjustments?tenant={tenant}")["adjustments"]) == 1
    # What was refused is not kept.
    missing = admin.ask("POST", "adjustments", {**body, "tenant": "nobody"}, Idempotency_Key="next")
    assert missing.status_code == 404
    assert admin.ask("POST", "adjustments", body, Idempotency_Key="next").status_code == 201


def test_what_a_tenant_has_used_is_seen(platform: Platform, app: flask.Flask, admin: Administrator) -> None:
    key = callers.key(platform, scopes=keys.CLIENT)
    made = app.test_client().post("/api/v1/jobs", json={"inputs": [GOOD] * 3}, headers=key.headers)
    assert made.status_code == 202
    assert admin.get(f"tenants/{key.tenant}")["month"]["used"] == 3
