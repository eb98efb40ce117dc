"""Tiers, by an operator's key."""

from __future__ import annotations

from typing import Any

import flask
import pytest

from access import tiers
from access.keys import Keyring
from access.tiers import LIMITS
from tests import callers
from tests.api.administrator import Administrator
from tests.conftest import Platform
from tests.statements import digest


def test_a_tier_is_a_copy_but_for_what_is_given(platform: Platform, admin: Administrator) -> None:
    name = callers.name("tier")
    given = {"max_pending": 5, "unit_price": 0.000000001, "priorities": ["low", "normal"], "past_allowance": "pay"}
    made = admin.ask("POST", "tiers", {"name": name, "like": "pro", **given})
    assert (made.status_code, made.headers["Location"]) == (201, f"/api/v1/admin/tiers/{name}")
    pro = admin.get("tiers/pro")
    assert made.get_json() == {**pro, "name": name, **given} == admin.get(f"tiers/{name}")
    assert set(pro) == set(tiers.COLUMNS)
    assert [item["name"] for item in admin.get("tiers")["tiers"]] == [
        row["name"] for row in tiers.listed(platform.engine)
    ]
    assert admin.ask("POST", "tiers", {"name": name}).get_json()["error"]["code"] == "TENANT_CONFLICT"
    (change,) = admin.get(f"audit?subject=tier:{name}")["changes"]
    assert (change["action"], change["actor"], change["address"]) == ("tier.create", f"key:{admin.id}", "192.0.2.9")
    assert (change["tenant"], change["after"]["max_pending"]) == (None, 5)


def test_a_change_holds_for_all_its_tenants_and_says_what_was(platform: Platform, admin: Administrator) -> None:
    name = callers.tier(platform)
    key = callers.key(platform, tier=name)
    was = admin.get(f"tiers/{name}")
    assert admin.patch(f"tiers/{name}", {"pace": 2.5, "max_uploads": 7}) == {**was, "pace": 2.5, "max_uploads": 7}
    assert Keyring(platform.engine).verify(key.token).tier.max_uploads == 7
    change = admin.get(f"audit?subject=tier:{name}&action=tier.change")["changes"][0]
    assert (change["actor"], change["address"]) == (f"key:{admin.id}", "192.0.2.9")
    assert change["before"] == {"pace": was["pace"], "max_uploads": was["max_uploads"]}
    assert change["after"] == {"pace": 2.5, "max_uploads": 7}


def test_an_operator_whose_own_tier_is_made_smallest_can_still_undo_it(platform: Platform, app: flask.Flask) -> None:
    name = callers.tier(platform)
    mine = Administrator(app, callers.key(platform, tier=name, scopes={"admin"}).token)
    was = mine.get(f"tiers/{name}")
    least = {field: limit.least for field, limit in LIMITS.items()}
    mine.patch(f"tiers/{name}", {**least, "past_allowance": "refuse"})
    fresh = Administrator(app, callers.key(platform, tenant=tenant_of(mine), scopes={"admin"}).token)
    assert fresh.patch(f"tiers/{name}", {field: was[field] for field in LIMITS}) == {**was, "past_allowance": "refuse"}


def tenant_of(admin: Administrator) -> str:
    keys = admin.get("keys?limit=100")["keys"]
    return str(next(item["tenant"] for item in keys if item["id"] == admin.id))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        *(({name: limit.most * 2 + 1}, name) for name, limit in LIMITS.items()),
        *(({name: limit.least - 1}, name) for name, limit in LIMITS.items()),
        *(({name: None}, name) for name in LIMITS),
        ({"max_running": 1.5}, "max_running"), ({"max_running": True}, "max_running"), ({"pace": "1"}, "pace"),
        ({"unit_price": 0.0000000001}, "unit_price"), ({"priorities": ["high"]}, "priorities"),
        ({"priorities": ["normal", "normal"]}, "priorities"), ({"priorities": ["normal", "urgent"]}, "priorities.1"),
        ({"priorities": []}, "priorities"), ({"priorities": "normal"}, "priorities"),
        ({"priorities": None}, "priorities"),
        ({"past_allowance": "wait"}, "past_allowance"), ({"max_runing": 5}, "max_runing"), ({}, "body"),
    ],
    ids=str,
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused_by_its_name_and_nothing_has_changed(
    platform: Platform, admin: Administrator, body: dict[str, Any], field: str
) -> None:
    name = callers.tier(platform)
    before = digest(platform)
    for ask in (("PATCH", f"tiers/{name}", body), ("POST", "tiers", {"name": callers.name("t"), **body})):
        if body or ask[0] == "PATCH":
            refused = admin.ask(*ask)
            assert (refused.status_code, refused.get_json()["error"]["details"]["field"]) == (422, field), refused.text
    assert digest(platform) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [({"name": ""}, "name"), ({"name": "two words"}, "name"), ({"name": "é"}, "name"), ({"name": "a\u0000"}, "name"),
     ({"name": "x" * 41}, "name"), ({}, "name"), ({"name": "t", "like": "gold"}, "like"),
     ({"name": "t", "like": ""}, "like")],
)  # fmt: skip
def test_a_name_that_no_tier_can_have_is_refused(admin: Administrator, body: dict[str, Any], field: str) -> None:
    refused = admin.ask("POST", "tiers", body)
    assert (refused.status_code, refused.get_json()["error"]["details"]["field"]) == (422, field), refused.text


def test_a_tier_is_found_whatever_its_name(admin: Administrator, platform: Platform) -> None:
    name = f"//a%2F?{callers.name('t')}"[:40]
    where = admin.ask("POST", "tiers", {"name": name}).headers["Location"].removeprefix("/api/v1/admin/")
    assert admin.patch(where, {"pace": 2})["name"] == name
    platform.execute("DELETE FROM tiers WHERE name = :name", name=name)


def test_a_tier_without_uploads_is_told_so_and_not_to_come_again(app: flask.Flask, platform: Platform) -> None:
    key = callers.key(platform, tier=callers.tier(platform, max_uploads=0))
    upload = {"content_type": "text/csv", "size": 1}
    answer = app.test_client().post("/api/v1/uploads", json=upload, headers=key.headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "FORBIDDEN")
    assert "has no uploads" in answer.get_json()["error"]["message"]
    assert "Retry-After" not in answer.headers
