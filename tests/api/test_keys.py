"""A tenant's keys, by its own hand: made, rotated, ended, and never more than the one that asks may."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest
from werkzeug.test import TestResponse

from access import derived, keys
from access.bounds import Bounds
from access.keys import Keyring
from core import errors
from tests import callers
from tests.api.conftest import Server
from tests.api.world import GOOD
from tests.conftest import Platform
from tests.statements import digest

Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(app: flask.Flask) -> Ask:
    def asked(
        token: str, method: str, path: str, body: Any = None, *, address: str = "192.0.2.1", **headers: str
    ) -> TestResponse:
        client = app.test_client()
        given = {"Authorization": f"Bearer {token}", **headers}
        return client.open(
            f"/api/v1/{path}", method=method, json=body, headers=given, environ_base={"REMOTE_ADDR": address}
        )

    return asked


def made(platform: Platform, tenant: str, **narrow: Any) -> str:
    """A key of this tenant for a client, narrowed so."""
    bounds = Bounds.read(**{"models": None, "networks": None, "expires_at": None, **narrow})
    return keys.create(platform.engine, tenant=tenant, name="made", scopes=keys.CLIENT, bounds=bounds, tier="pro")


def audited(platform: Platform, key_id: str) -> list[Any]:
    return platform.rows(
        "SELECT action, actor, address, before, after FROM audit WHERE object = :key ORDER BY id", key=f"key:{key_id}"
    )


def test_a_key_makes_one_that_may_less_which_is_shown_once(platform: Platform, ask: Ask) -> None:
    own = callers.key(platform)
    told = ask(own.token, "POST", "keys", {"name": "kiosk", "scopes": ["predict"], "expires_in_s": 3600})
    assert told.status_code == 201, told.text
    shown = told.get_json()
    token = shown.pop("key")
    assert (shown["id"], shown["scopes"], shown["models"]) == (keys.id_of(token), ["predict"], None)
    assert dt.datetime.fromisoformat(shown["expires_at"]) > dt.datetime.now(dt.UTC) + dt.timedelta(minutes=50)
    listed = ask(own.token, "GET", "keys")
    assert [item["id"] for item in listed.get_json()["keys"]] == [own.id, shown["id"]]
    assert listed.get_json()["keys"][1] == shown
    assert token.split("_")[2] not in listed.text
    assert ask(token, "POST", "predict", {"inputs": GOOD}).status_code == 200
    assert ask(token, "GET", "jobs").status_code == 403
    assert Keyring(platform.engine).verify(token).tenant_id == Keyring(platform.engine).verify(own.token).tenant_id


def test_without_a_word_a_key_is_a_clients_and_as_narrow_as_the_one_that_made_it(platform: Platform, ask: Ask) -> None:
    ends = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=1)
    tenant = callers.name("tenant")
    own = made(platform, tenant, models=["sentiment"], networks=["192.0.2.0/24"], expires_at=ends)
    token = ask(own, "POST", "keys", {"name": "web"}).get_json()["key"]
    found, mine = (Keyring(platform.engine).verify(item, "192.0.2.1") for item in (token, own))
    assert (found.scopes, found.bounds) == (mine.scopes, mine.bounds)
    admin = callers.key(platform, scopes=keys.SCOPES)
    client = ask(admin.token, "POST", "keys", {"name": "web"}).get_json()["key"]
    assert Keyring(platform.engine).verify(client).scopes == keys.CLIENT


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["admin"]}, "scopes"),
        ({"scopes": ["predict", "models:write"]}, "scopes"),
        ({"models": ["sentiment", "speech"]}, "models"),
        ({"networks": ["0.0.0.0/0"]}, "networks"),
        ({"expires_in_s": 7200}, "expires_in_s"),
    ],
)
def test_a_key_makes_none_that_may_more_than_itself(
    platform: Platform, ask: Ask, body: dict[str, Any], field: str
) -> None:
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    own = made(platform, callers.name("tenant"), models=["sentiment"], networks=["192.0.2.0/24"], expires_at=ends)
    before = digest(platform)
    refused = ask(own, "POST", "keys", {"name": "more", **body})
    error = refused.get_json()["error"]
    assert (refused.status_code, error["code"], error["details"]["field"]) == (403, "FORBIDDEN", field)
    assert digest(platform) == before


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": ""}, {"name": " a"}, {"name": "n", "scopes": []}, {"name": "n", "scopes": ["root"]},
        {"name": "n", "scopes": ["jobs", "jobs"]}, {"name": "n", "models": ["No Model"]},
        {"name": "n", "networks": ["192.0.2.1/24"]}, {"name": "n", "expires_in_s": 0}, {"name": "n", "tenant": "other"},
    ],
)  # fmt: skip
def test_what_no_key_can_be_is_refused_by_its_field(platform: Platform, ask: Ask, body: dict[str, Any]) -> None:
    own = callers.key(platform)
    before = digest(platform)
    refused = ask(own.token, "POST", "keys", body)
    assert refused.status_code == 422, refused.text
    field = list(body)[-1] if body else "name"
    assert refused.get_json()["error"]["details"]["field"].startswith(field)
    assert digest(platform) == before


def test_a_rotated_key_is_good_for_its_overlap_and_the_new_one_may_the_same(platform: Platform, ask: Ask) -> None:
    own = callers.key(platform, scopes=keys.CLIENT - {"files"})
    told = ask(own.token, "POST", f"keys/{own.id}/rotate", {"overlap_s": 3600})
    assert told.status_code == 201
    new = told.get_json()
    old = next(item for item in ask(new["key"], "GET", "keys").get_json()["keys"] if item["id"] == own.id)
    assert (old["rotated_to"], new["scopes"], new["expires_at"]) == (new["id"], sorted(keys.CLIENT - {"files"}), None)
    left = dt.datetime.fromisoformat(old["expires_at"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=50) < left <= dt.timedelta(hours=1)
    ring = Keyring(platform.engine)
    assert ring.verify(own.token).tenant_id == ring.verify(new["key"]).tenant_id
    platform.execute("UPDATE api_keys SET expires_at = now() WHERE id = :id", id=own.id)
    with pytest.raises(errors.Unauthorized):
        Keyring(platform.engine).verify(own.token)


def test_an_overlap_lengthens_no_life(platform: Platform, ask: Ask) -> None:
    ends = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=1)
    own = made(platform, callers.name("tenant"), expires_at=ends)
    new = ask(own, "POST", f"keys/{keys.id_of(own)}/rotate", {"overlap_s": 86_400}).get_json()
    assert dt.datetime.fromisoformat(new["expires_at"]) == ends
    row = platform.one("SELECT expires_at FROM api_keys WHERE id = :id", id=keys.id_of(own))
    assert row[0] == ends


def test_what_was_rotated_or_opens_nothing_is_not_rotated(platform: Platform, ask: Ask) -> None:
    own = callers.key(platform)
    for end in ("revoked_at = now()", "expires_at = now()", "rotated_to = 'another'"):
        other = callers.key(platform, tenant=own.tenant)
        platform.execute(f"UPDATE api_keys SET {end} WHERE id = :id", id=other.id)
        before = digest(platform)
        refused = ask(own.token, "POST", f"keys/{other.id}/rotate", {})
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (409, "KEY_STATE_CONFLICT"), end
        assert digest(platform) == before


def test_a_key_does_not_get_more_by_rotating_one_that_may_more(platform: Platform, ask: Ask) -> None:
    tenant = callers.name("tenant")
    own = made(platform, tenant, models=["sentiment"])
    wide, admin = callers.key(platform, tenant=tenant), callers.key(platform, tenant=tenant, scopes=keys.SCOPES)
    before = digest(platform)
    for other, field in ((wide, "models"), (admin, "scopes")):
        refused = ask(own, "POST", f"keys/{other.id}/rotate", {})
        assert (refused.status_code, refused.get_json()["error"]["details"]["field"]) == (403, field)
    assert digest(platform) == before


def test_a_revoked_key_opens_nothing_and_to_say_it_twice_changes_nothing(platform: Platform, ask: Ask) -> None:
    own = callers.key(platform)
    other = callers.key(platform, tenant=own.tenant)
    assert ask(own.token, "DELETE", f"keys/{other.id}").status_code == 204
    with pytest.raises(errors.Unauthorized):
        Keyring(platform.engine).verify(other.token)
    before = digest(platform)
    assert ask(own.token, "DELETE", f"keys/{other.id}").status_code == 204
    assert digest(platform) == before
    assert [item["id"] for item in ask(own.token, "GET", "keys").get_json()["keys"]] == [own.id]


def test_a_key_that_is_still_remembered_after_its_end_leaves_no_other_one_behind(platform: Platform, ask: Ask) -> None:
    own = callers.key(platform)
    other = callers.key(platform, tenant=own.tenant)
    assert ask(own.token, "GET", "keys").status_code == 200
    keys.revoke(platform.engine, own.id)
    before = digest(platform)
    assert ask(own.token, "POST", "keys", {"name": "left"}).status_code == 401
    assert ask(own.token, "POST", f"keys/{other.id}/rotate", {}).status_code == 401
    assert digest(platform) == before


def test_a_tenant_has_no_more_keys_than_it_may_however_they_are_made(platform: Platform, ask: Ask) -> None:
    own = callers.key(platform)
    others = [callers.key(platform, tenant=own.tenant) for _ in range(derived.MOST - 2)]
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: ask(own.token, "POST", "keys", {"name": "last"}), range(4)))
    assert sorted(answer.status_code for answer in told) == [201, 409, 409, 409]
    assert "no more than that to a tenant" in next(item for item in told if item.status_code == 409).text
    # One that goes on for a while beside its successor counts as well; at once, it does not.
    assert ask(own.token, "POST", f"keys/{others[0].id}/rotate", {"overlap_s": 60}).status_code == 409
    assert ask(own.token, "POST", f"keys/{others[0].id}/rotate", {"overlap_s": 0}).status_code == 201
    assert ask(own.token, "DELETE", f"keys/{others[1].id}").status_code == 204
    assert ask(own.token, "POST", "keys", {"name": "again"}).status_code == 201


def test_every_change_is_in_the_audit_log_with_who_made_it_and_from_where(platform: Platform, ask: Ask) -> None:
    own = callers.key(platform)
    first = ask(own.token, "POST", "keys", {"name": "web", "scopes": ["jobs"]}, address="192.0.2.7").get_json()["id"]
    second = ask(own.token, "POST", f"keys/{first}/rotate", {"overlap_s": 0}).get_json()["id"]
    ask(own.token, "DELETE", f"keys/{second}")
    created, rotated = audited(platform, first)
    assert (created.action, created.actor, created.address) == ("key.create", f"key:{own.id}", "192.0.2.7")
    assert (created.after["name"], created.after["scopes"]) == ("web", ["jobs"])
    assert (rotated.action, rotated.before, rotated.after["rotated_to"]) == ("key.rotate", {"expires_at": None}, second)
    assert [row.action for row in audited(platform, second)] == ["key.create", "key.revoke"]
    (by_operator,) = audited(platform, own.id)
    assert by_operator.actor.startswith("cli:")
    assert by_operator.address is None
    for row in audited(platform, first):
        assert "cck_" not in str(row)


def test_a_key_for_some_models_has_others_neither_answer_nor_work(platform: Platform, ask: Ask) -> None:
    own = made(platform, callers.name("tenant"), models=["tumor"])
    before = digest(platform)
    for path, body in (
        ("predict", {"inputs": GOOD, "model": "sentiment"}),
        ("predict", {"inputs": GOOD}),  # sentiment is the default
        ("predict/batch", {"inputs": [GOOD], "model": "sentiment"}),
        ("jobs", {"inputs": GOOD, "model": "sentiment"}),
    ):
        refused = ask(own, "POST", path, body)
        error = refused.get_json()["error"]
        assert (refused.status_code, error["code"]) == (403, "FORBIDDEN"), path
        assert error["details"] == {"field": "model", "received": "sentiment"}
    assert digest(platform) == before


def test_a_key_for_some_models_reads_its_tenants_jobs_but_does_not_repeat_anothers(
    platform: Platform, ask: Ask
) -> None:
    wide = callers.key(platform)
    job_id = ask(wide.token, "POST", "jobs", {"inputs": GOOD}).get_json()["job_id"]
    ask(wide.token, "POST", f"jobs/{job_id}/cancel")
    own = keys.create(
        platform.engine,
        tenant=wide.tenant,
        name="narrow",
        scopes=keys.CLIENT,
        bounds=Bounds.read(models=["tumor"], networks=None, expires_at=None),
    )
    assert ask(own, "GET", f"jobs/{job_id}").status_code == 200
    assert ask(own, "POST", f"jobs/{job_id}/retry").status_code == 403
    assert ask(wide.token, "POST", f"jobs/{job_id}/retry").status_code == 202


def test_a_key_for_some_models_publishes_no_other(platform: Platform, ask: Ask) -> None:
    own = keys.create(
        platform.engine,
        tenant=callers.name("tenant"),
        name="ci",
        scopes=keys.SCOPES,
        bounds=Bounds.read(models=["mine"], networks=None, expires_at=None),
    )
    body = {"model": "other", "version": "1.0.0", "upload_id": f"upl_{'0' * 32}"}
    assert ask(own, "POST", "models", body).status_code == 403
    assert ask(own, "POST", "models", {**body, "model": "mine"}).status_code == 404


def test_a_key_of_a_network_is_refused_from_elsewhere_on_every_route(platform: Platform, ask: Ask) -> None:
    own = made(platform, callers.name("tenant"), networks=["192.0.2.0/24", "2001:db8::/32"])
    for address, status in (("192.0.2.9", 200), ("2001:db8::1", 200), ("192.0.3.1", 403), ("127.0.0.1", 403)):
        for path in ("jobs", "models", "keys", "webhooks"):
            # What a client says of itself decides nothing.
            told = ask(own, "GET", path, address=address, **{"X-Forwarded-For": "192.0.2.9"})
            assert told.status_code == status, (address, path)
    error = ask(own, "GET", "jobs", address="192.0.3.1").get_json()["error"]
    assert (error["code"], error["details"]) == ("FORBIDDEN", {"received": "192.0.3.1"})


def test_the_server_that_is_run_knows_where_a_key_comes_from(platform: Platform, server: Server) -> None:
    tenant = callers.name("tenant")
    for networks, status in ((["127.0.0.0/8"], b" 200 "), (["192.0.2.0/24"], b" 403 ")):
        token = made(platform, tenant, networks=networks)
        head = f"GET /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        answer = server.ask(head)
        assert status in answer.splitlines()[0]
        assert (b'"127.0.0.1"' in answer) == (b" 403 " in status)
