"""Keys of any tenant, by an operator's key: made, listed, rotated, ended; and nobody is locked out by it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest

from access import keys
from access.bounds import Bounds
from access.keys import Keyring
from tests import callers
from tests.api.administrator import Administrator
from tests.conftest import Platform
from tests.statements import digest


@pytest.fixture
def tenant(platform: Platform) -> str:
    return callers.key(platform).tenant


def test_a_key_of_any_tenant_is_made_and_shown_once(platform: Platform, admin: Administrator, tenant: str) -> None:
    body = {"tenant": tenant, "name": "ci", "scopes": ["admin", "metrics", "models:write"], "expires_in_s": 3600}
    told = admin.post("keys", body)
    token = told.pop("key")
    found = Keyring(platform.engine).verify(token)
    assert found.scopes == {"admin", "metrics", "models:write"}
    assert dt.datetime.fromisoformat(told["expires_at"]) == found.bounds.expires_at
    assert admin.get(f"keys?tenant={tenant}")["keys"][0] == told
    assert token.split("_")[2] not in admin.ask("GET", "keys").text
    (change,) = admin.get(f"audit?subject=key:{told['id']}")["changes"]
    assert (change["actor"], change["address"]) == (f"key:{admin.id}", "192.0.2.9")
    assert (change["tenant"], change["action"], change["before"]) == (tenant, "key.create", None)
    assert change["after"]["scopes"] == sorted(found.scopes)
    assert token.split("_")[2] not in str(
        platform.rows("SELECT after FROM audit WHERE object = :of", of=change["subject"])
    )
    assert platform.rows("SELECT FROM idempotency_keys WHERE reply::text LIKE '%cck_%'") == []


def test_without_a_word_it_is_a_clients_whatever_the_operators_own_may(
    platform: Platform, admin: Administrator, tenant: str
) -> None:
    found = Keyring(platform.engine).verify(admin.post("keys", {"tenant": tenant, "name": "web"})["key"])
    assert (found.scopes, found.bounds) == (keys.CLIENT, Bounds())


def test_keys_are_read_a_page_at_a_time_newest_first_while_there_are_new_ones(
    platform: Platform, admin: Administrator, tenant: str
) -> None:
    made = [admin.post("keys", {"tenant": tenant, "name": f"k{number}"})["id"] for number in range(4)]
    first = admin.get(f"keys?tenant={tenant}&limit=3")
    assert [item["id"] for item in first["keys"]] == made[:0:-1]
    admin.post("keys", {"tenant": tenant, "name": "late"})
    second = admin.get(f"keys?tenant={tenant}&limit=3&cursor={first['next_cursor']}")
    assert ([item["name"] for item in second["keys"]], second["next_cursor"]) == (["k0", "made"], None)
    admin.ask("DELETE", f"keys/{made[0]}")
    assert made[0] not in [item["id"] for item in admin.get(f"keys?tenant={tenant}")["keys"]]
    (ended,) = [item for item in admin.get(f"keys?tenant={tenant}&status=all")["keys"] if item["id"] == made[0]]
    assert ended["revoked_at"] is not None
    for cursor in ("0" * 12, "x", "%00", "a" * 12):
        refused = admin.ask("GET", f"keys?cursor={cursor}")
        assert (refused.status_code, refused.get_json()["error"]["details"]["field"]) == (422, "cursor")


def test_a_key_of_another_tenant_is_rotated_and_ended_again_and_again(
    platform: Platform, admin: Administrator, tenant: str
) -> None:
    old = admin.post("keys", {"tenant": tenant, "name": "web", "scopes": ["metrics"]})
    new = admin.post(f"keys/{old['id']}/rotate", {"overlap_s": 0})
    assert (new["tenant"], new["scopes"], new["name"]) == (tenant, ["metrics"], "web")
    assert admin.ask("POST", f"keys/{old['id']}/rotate", {}).get_json()["error"]["code"] == "KEY_STATE_CONFLICT"
    for again in (False, True):
        ended = admin.ask("DELETE", f"keys/{new['id']}").get_json()
        assert (ended["was_revoked"], ended["own"], ended["revoked_at"] is None) == (again, False, False)
    changes = admin.get(f"audit?subject=key:{new['id']}")["changes"]
    assert [item["action"] for item in changes] == ["key.revoke", "key.create"]


@pytest.mark.parametrize(
    ("narrow", "body", "field"),
    [
        ({"networks": ["192.0.2.0/24"]}, {"networks": ["0.0.0.0/0"]}, "networks"),
        ({"expires_at": dt.timedelta(hours=1)}, {"expires_in_s": 7200}, "expires_in_s"),
    ],
)
def test_what_administers_is_no_wider_than_what_made_it_and_what_does_not_may_be(
    platform: Platform, app: flask.Flask, tenant: str, narrow: dict[str, Any], body: dict[str, Any], field: str
) -> None:
    """Else a key that leaked would outlive its end."""
    ends = {name: dt.datetime.now(dt.UTC) + value for name, value in narrow.items() if name == "expires_at"}
    bounds = Bounds.read(**{"models": None, "networks": None, "expires_at": None, **narrow, **ends})
    own = keys.create(platform.engine, tenant=tenant, name="own", scopes={"admin"}, bounds=bounds)
    mine, wide = Administrator(app, own), callers.key(platform, scopes={"admin"}).id
    before = digest(platform)
    error = mine.ask("POST", "keys", {"tenant": tenant, "name": "x", "scopes": ["admin"], **body}).get_json()["error"]
    assert (error["code"], error["details"]["field"]) == ("FORBIDDEN", field)
    assert mine.ask("POST", f"keys/{wide}/rotate", {}).status_code == 403
    assert digest(platform) == before
    same = Keyring(platform.engine).verify(
        mine.post("keys", {"tenant": tenant, "name": "x", "scopes": ["admin"]})["key"], "192.0.2.9"
    )
    assert same.bounds == Keyring(platform.engine).verify(own, "192.0.2.9").bounds
    client = Keyring(platform.engine).verify(mine.post("keys", {"tenant": tenant, "name": "x"})["key"])
    assert client.bounds == Bounds()


def test_a_key_that_was_revoked_makes_none_in_the_seconds_that_it_has_yet(
    platform: Platform, admin: Administrator, tenant: str
) -> None:
    assert admin.ask("GET", "keys").status_code == 200
    keys.revoke(platform.engine, admin.id, last=True)
    for path, body in (("keys", {"tenant": tenant, "name": "x"}), (f"keys/{admin.id}/rotate", {})):
        assert admin.ask("POST", path, body).status_code == 401


@pytest.fixture
def alone(platform: Platform, admin: Administrator) -> Iterator[Administrator]:
    """Of all keys that open something the only one that administers."""
    kept = platform.rows("SELECT id, scopes FROM api_keys WHERE 'admin' = ANY (scopes) AND id <> :id", id=admin.id)
    change = "UPDATE api_keys SET scopes = {} WHERE id = :id"
    for row in kept:
        platform.execute(change.format("array_remove(scopes, 'admin')"), id=row.id)
    yield admin
    for row in kept:
        platform.execute(change.format(":scopes"), id=row.id, scopes=row.scopes)


def test_the_last_key_that_administers_is_not_ended_by_the_api(platform: Platform, alone: Administrator) -> None:
    refused = alone.ask("DELETE", f"keys/{alone.id}")
    error = refused.get_json()["error"]
    assert (refused.status_code, error["code"]) == (409, "KEY_STATE_CONFLICT")
    assert "last key with the scope 'admin'" in error["message"]
    tenant = alone.get("keys?status=all&limit=1")["keys"][0]["tenant"]
    # Nor by a key of its own tenant that administers nothing.
    other = Administrator(alone.app, callers.key(platform, tenant=tenant).token)
    client = other.app.test_client()
    headers = {"Authorization": f"Bearer {other.token}"}
    assert client.delete(f"/api/v1/keys/{alone.id}", headers=headers).status_code == 409
    second = alone.post("keys", {"tenant": tenant, "name": "second", "scopes": ["admin"]})
    ended = alone.ask("DELETE", f"keys/{alone.id}").get_json()
    assert (ended["own"], ended["was_revoked"]) == (True, False)
    assert Administrator(alone.app, second["key"]).ask("DELETE", f"keys/{second['id']}").status_code == 409


def test_two_that_end_each_other_at_once_leave_one(platform: Platform, alone: Administrator) -> None:
    tenant = alone.get("keys?limit=1")["keys"][0]["tenant"]
    for _ in range(5):
        made = alone.post("keys", {"tenant": tenant, "name": "second", "scopes": ["admin"]})
        both = (alone, Administrator(alone.app, made["key"]))
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(one.ask, "DELETE", f"keys/{other.id}") for one, other in (both, both[::-1])]
            found = sorted(item.result().status_code for item in asked)
        left = platform.rows("SELECT id FROM api_keys WHERE 'admin' = ANY (scopes) AND revoked_at IS NULL")
        assert (len(left), found in ([200, 409], [200, 401])) == (1, True), found
        alone = next(one for one in both if one.id == left[0].id)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "tenant"), ({"tenant": "nobody", "name": "n"}, 404, None),
        ({"tenant": "", "name": "n"}, 422, "tenant"),
        ({"tenant": "a\u0000b", "name": "n"}, 404, None), ({"tenant": None, "name": "n"}, 422, "tenant"),
        ({"tenant": "x" * 101, "name": "n"}, 422, "tenant"),
        ({"name": ""}, 422, "name"), ({"name": "a\tb"}, 422, "name"),
        ({"name": "n", "scopes": ["root"]}, 422, "scopes.0"), ({"name": "n", "scopes": []}, 422, "scopes"),
        ({"name": "n", "scopes": ["jobs", "jobs"]}, 422, "scopes"),
        ({"name": "n", "models": ["No Model"]}, 422, "models"),
        ({"name": "n", "networks": ["192.0.2.1/24"]}, 422, "networks"),
        ({"name": "n", "expires_in_s": 0}, 422, "expires_in_s"), ({"name": "n", "tier": "pro"}, 422, "tier"),
    ],
)  # fmt: skip
def test_what_no_key_can_be_is_refused_by_its_field_and_nothing_has_changed(
    platform: Platform, admin: Administrator, tenant: str, body: dict[str, Any], status: int, field: str | None
) -> None:
    before = digest(platform)
    sent = body if "tenant" in body or not body else {"tenant": tenant, **body}
    refused = admin.ask("POST", "keys", sent)
    assert refused.status_code == status, refused.text
    error = refused.get_json()["error"]
    assert error["details"].get("field", error.get("errors", [{}])[0].get("field")) == field or (
        not body and {item["field"] for item in error["errors"]} == {"tenant", "name"}
    )
    assert digest(platform) == before
