"""Whoever makes errors again and again is told so, waits longer, and is refused in the end; nobody else is."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import secrets
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.exceptions import (
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    RequestTimeout,
    RequestURITooLarge,
    UnsupportedMediaType,
)
from werkzeug.test import TestResponse

import api
import models
from access import blocks, keys
from access.conduct import Conduct
from access.ladder import Ladder
from api import admission
from api import client as clients
from core import errors, metrics
from core.audit import Actor
from tests import callers, factories
from tests.callers import Key
from tests.changed import changed
from tests.conftest import Platform, until

PREDICT, JOBS = "/api/v1/predict", "/api/v1/jobs"
BAD: Mapping[str, object] = {"inputs": {"text": ""}}


@pytest.fixture(scope="module")
def strict(platform: Platform) -> Iterator[flask.Flask]:
    """An API that bears five errors, and forgets none while a test runs."""
    app = api.create_app(changed(platform.settings, max_errors=5))
    here = app.extensions["coatcheck"]
    vars(here)["conduct"] = Conduct(here.engine, Ladder(errors=5, refill_s=1e9))
    yield app
    here.close()


@pytest.fixture
def key(platform: Platform) -> Key:
    return callers.key(platform)


@pytest.fixture
def at(strict: flask.Flask) -> FlaskClient:
    """From a network of its own."""
    made = strict.test_client()
    made.environ_base["REMOTE_ADDR"] = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::7"
    return made


def subject_of(at: FlaskClient) -> str:
    return f"address:{ipaddress.ip_network((at.environ_base['REMOTE_ADDR'], 64), strict=False)}"


def held(platform: Platform, subject: str, level: int, **more: object) -> None:
    """Put somebody on the ladder by hand, for an hour."""
    factories.add(platform, models.Block, subject=subject, level=level, **more)


def told(at: FlaskClient, key: Key) -> str | None:
    return at.get(JOBS, headers=key.headers).headers.get("X-Conduct")


def test_errors_of_a_key_lead_up_the_ladder_and_each_answer_says_so(
    platform: Platform, at: FlaskClient, key: Key
) -> None:
    answers = [at.post(PREDICT, json=BAD, headers=key.headers) for _ in range(6)]
    assert {answer.status_code for answer in answers} == {422}
    assert [answer.headers.get("X-Conduct") for answer in answers[:5]] == [None] * 5
    assert [answer.headers.get("Retry-After") for answer in answers[:5]] == [None] * 5
    said = until(lambda: told(at, key))
    level, moment, reason = said.split("; ")
    assert (level, reason) == ("warned", "reason=errors")
    ends = dt.datetime.fromisoformat(moment.removeprefix("until="))
    left = ends - dt.datetime.now(dt.UTC)
    assert 0 < left.total_seconds() <= 31
    shown = at.get("/api/v1/limits", headers=key.headers).get_json()["conduct"]
    assert (shown["level"], shown["reason"]) == ("warned", "errors")
    assert abs(dt.datetime.fromisoformat(shown["until"]) - ends) < dt.timedelta(seconds=2)
    waits = [at.post(PREDICT, json=BAD, headers=key.headers).headers["Retry-After"] for _ in range(3)]
    assert waits == ["2", "4", "8"]
    tenant = platform.one("SELECT tenant_id FROM api_keys WHERE id = :id", id=key.id).tenant_id
    row = platform.one("SELECT * FROM blocks WHERE subject = :subject", subject=f"key:{key.id}")
    assert (row.tenant_id, row.level) == (tenant, 1)


def test_a_blocked_key_is_refused_everywhere_and_its_tenants_other_keys_go_on(
    platform: Platform, at: FlaskClient, key: Key
) -> None:
    held(platform, f"key:{key.id}", 3)
    answer = until(lambda: (found := at.get(JOBS, headers=key.headers)).status_code == 429 and found)
    error = answer.get_json()["error"]
    assert error["code"] == "BLOCKED"
    assert error["message"].startswith("Held back until ")
    assert error["details"] == {"level": "blocked", "reason": "made"}
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert answer.headers["X-Conduct"].startswith("blocked; until=")
    assert at.post(PREDICT, json={"inputs": {"text": "a"}}, headers=key.headers).status_code == 429
    other = callers.key(platform, tenant=key.tenant)
    answer = at.get(JOBS, headers=other.headers)
    assert (answer.status_code, answer.headers.get("X-Conduct")) == (200, None)
    # Neither does it reach what everybody may see.
    assert at.get("/healthz", headers=key.headers).status_code == 200


def test_who_is_blocked_and_asks_on_is_told_the_same_of_each_request_without_being_looked_at(
    platform: Platform, at: FlaskClient, key: Key
) -> None:
    held(platform, f"key:{key.id}", 3)
    first = until(lambda: (found := at.get(JOBS, headers=key.headers)).status_code == 429 and found)
    again = metrics.REFUSED_AGAIN._value.get()
    until(lambda: at.get(JOBS, headers=key.headers).status_code == 429 and metrics.REFUSED_AGAIN._value.get() > again)
    answers = [
        at.get("/api/v1/nothing", headers=key.headers), at.post(PREDICT, data=b"{", headers=key.headers),
        at.get(JOBS, headers=key.headers),
    ]  # fmt: skip
    ids = {answer.headers["X-Request-ID"] for answer in answers}
    assert ids == {answer.get_json()["error"]["request_id"] for answer in answers}
    assert len(ids | {first.headers["X-Request-ID"]}) == 4
    for answer in answers:
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (429, "BLOCKED")
        assert set(answer.headers.keys()) == set(first.headers.keys())
        assert len(answer.data) == int(answer.headers["Content-Length"])
    open_to_all = [
        rule.rule for rule in at.application.url_map.iter_rules()
        if rule.endpoint in admission.KEYLESS and rule.rule.startswith("/api/")
    ]  # fmt: skip
    assert open_to_all
    for rule in open_to_all:
        assert at.get(re.sub("<[^>]+>", "x", rule), headers=key.headers).status_code == 404
    head = at.head(JOBS, headers=key.headers)
    assert (head.status_code, head.data) == (429, b"")
    # What needs no key is not refused to who shows one.
    assert at.get("/healthz", headers=key.headers).status_code == 200
    assert at.get(JOBS, headers=callers.key(platform, tenant=key.tenant).headers).status_code == 200


def test_what_is_told_again_is_whole_whatever_was_asked_first_and_is_of_the_request_that_says_its_id(
    platform: Platform, at: FlaskClient, key: Key
) -> None:
    held(platform, f"key:{key.id}", 3)
    named = {**key.headers, "X-Request-ID": "e"}
    until(lambda: at.head(JOBS, headers=key.headers).status_code == at.get(JOBS, headers=named).status_code == 429)
    for headers in (named, key.headers, named, key.headers):
        answer = at.get(JOBS, headers=headers)
        said = answer.get_json()["error"]
        assert (said["code"], said["request_id"]) == ("BLOCKED", answer.headers["X-Request-ID"])
        assert (said["request_id"] == "e") == (headers is named)
        assert len(answer.data) == int(answer.headers["Content-Length"])


def test_who_was_blocked_is_let_in_as_soon_as_it_is_let_go(platform: Platform, at: FlaskClient, key: Key) -> None:
    held(platform, f"key:{key.id}", 3)
    until(lambda: at.get(JOBS, headers=key.headers).status_code == 429)
    blocks.lift(platform.engine, f"key:{key.id}", Actor("cli:test"))
    until(lambda: at.get(JOBS, headers=key.headers).status_code == 200, 30)


def test_what_is_refused_to_who_is_blocked_is_not_held_against_it(
    platform: Platform, strict: flask.Flask, at: FlaskClient, key: Key
) -> None:
    held(platform, f"key:{key.id}", 3)
    until(lambda: at.get(JOBS, headers=key.headers).status_code == 429)
    for _ in range(30):
        assert at.get(JOBS, headers=key.headers).status_code == 429
    conduct = strict.extensions["coatcheck"].conduct
    assert f"key:{key.id}" not in conduct._errors
    assert platform.one("SELECT steps FROM blocks WHERE subject = :subject", subject=f"key:{key.id}").steps == 1


def test_a_blocked_network_is_refused_but_for_keys_that_open_something_and_others_are_not(
    platform: Platform, strict: flask.Flask, at: FlaskClient, key: Key
) -> None:
    held(platform, subject_of(at), 3)
    until(lambda: at.get(JOBS).status_code == 429)
    bad = {"X-API-Key": callers.written(secrets.token_hex(6), secrets.token_hex(24))}
    for path in (JOBS, "/api/v1/nothing", "/wp-admin"):
        for headers in ({}, bad):
            assert at.get(path, headers=headers).get_json()["error"]["code"] == "BLOCKED"
    assert subject_of(at) not in strict.extensions["coatcheck"].conduct._errors
    assert at.get(JOBS, headers=key.headers).status_code == 200
    assert at.get("/wp-admin", headers=key.headers).status_code == 404
    elsewhere = strict.test_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    assert elsewhere.get(JOBS, headers=key.headers).status_code == 200


def test_a_blocked_network_whose_keys_cannot_be_any_is_told_the_same_without_being_looked_at_and_no_other_is(
    platform: Platform, strict: flask.Flask, at: FlaskClient, key: Key
) -> None:
    def typed() -> dict[str, str]:
        return {"X-API-Key": f"cck_{secrets.token_hex(6)}_{secrets.token_hex(28)}"}

    held(platform, subject_of(at), 3)
    until(lambda: at.get(JOBS, headers=typed()).status_code == 429)
    again = metrics.REFUSED_AGAIN._value.get()
    until(lambda: at.get(JOBS, headers=typed()).status_code == 429 and metrics.REFUSED_AGAIN._value.get() > again)
    again = metrics.REFUSED_AGAIN._value.get()
    for headers in (typed(), {}, {"Authorization": "Bearer x"}):
        assert at.get(JOBS, headers=headers).get_json()["error"]["code"] == "BLOCKED"
    assert metrics.REFUSED_AGAIN._value.get() == again + 3
    # What may be a key, or the token of an issuer, is looked at.
    may_be = callers.written(secrets.token_hex(6), secrets.token_hex(24))
    for headers in ({"X-API-Key": may_be}, {"Authorization": "Bearer a.b.c"}):
        assert at.get(JOBS, headers=headers).get_json()["error"]["code"] == "BLOCKED"
    assert at.get(JOBS, headers=key.headers).status_code == 200
    assert metrics.REFUSED_AGAIN._value.get() == again + 3
    elsewhere = strict.test_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    assert elsewhere.get(JOBS, headers=typed()).status_code == 401


def test_bad_keys_are_held_against_the_network_and_not_against_the_keys_that_work_there(
    platform: Platform, at: FlaskClient, key: Key
) -> None:
    def scan() -> TestResponse:
        return at.get(JOBS, headers={"X-API-Key": callers.written(secrets.token_hex(6), secrets.token_hex(24))})

    for _ in range(3):
        assert scan().status_code == 401
    until(lambda: scan().headers.get("X-Conduct"))
    rows = platform.rows("SELECT tenant_id, level FROM blocks WHERE subject = :subject", subject=subject_of(at))
    assert rows == [(None, 1)]
    assert told(at, key) is None
    assert at.get(JOBS).headers["Retry-After"] in {"2", "4", "8"}


@pytest.mark.parametrize(
    ("path", "how", "counts"),
    [
        ("/api/v1/jobs/job_" + "0" * 32, {}, 0.5),
        ("/api/v1/models?x=1", {}, 1),
        ("/api/v1/models", {}, 0),
        ("/api/v1/admin/blocks", {}, 1),
        # No such route is held against the key that came with it.
        ("/api/v1/odd", {}, 0.5),
        ("/api/v1/models", {"method": "PUT"}, 1),
        ("/api/v2/models", {"environ_overrides": {"HTTP_ACCEPT": "text/html"}}, 1),
        (JOBS, {"method": "POST", "data": b"x"}, 1),
    ],
)
def test_what_is_wrong_counts_and_what_goes_well_does_not(
    strict: flask.Flask, at: FlaskClient, key: Key, path: str, how: Mapping[str, Any], counts: float
) -> None:
    at.open(path, headers=key.headers, **how)
    conduct = strict.extensions["coatcheck"].conduct
    mine, theirs = (conduct._errors.get(subject) for subject in (f"key:{key.id}", subject_of(at)))
    assert theirs is None
    assert (mine.left if mine else 5) == 5 - counts


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        (errors.InvalidInput, 1), (errors.ModelError, 0), (errors.InputRefused, 0), (errors.TimedOut, 0),
        (errors.ToleranceNotMet, 0), (errors.TooManyRequests, 0), (errors.Unavailable, 0), (errors.CoatcheckError, 0),
        (errors.JobStateConflict, 0), (errors.RateLimited, 0.25), (errors.MalformedRequest, 1),
        (errors.Forbidden, 1), (errors.JobNotFound, 0.5), (errors.VersionRetired, 0),
        (errors.BatchTooLarge, 1), (MethodNotAllowed, 1), (NotAcceptable, 1), (RequestTimeout, 0),
        (RequestEntityTooLarge, 1), (RequestURITooLarge, 1), (UnsupportedMediaType, 1), (ZeroDivisionError, 0),
    ],
)  # fmt: skip
def test_only_what_the_caller_is_to_blame_for_counts(
    strict: flask.Flask,
    at: FlaskClient,
    key: Key,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Exception],
    counts: float,
) -> None:
    def fail() -> flask.Response:
        raise kind

    monkeypatch.setitem(strict.view_functions, "models.list_models", fail)
    at.get("/api/v1/models", headers=key.headers)
    found = strict.extensions["coatcheck"].conduct._errors.get(f"key:{key.id}")
    assert (found.left if found else 5) == 5 - counts


def test_a_longer_wait_that_an_error_tells_by_itself_stays(
    platform: Platform, strict: flask.Flask, at: FlaskClient, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> flask.Response:
        raise errors.RateLimited(retry_after_s=3)

    held(platform, f"key:{key.id}", 2)
    until(lambda: told(at, key))
    monkeypatch.setitem(strict.view_functions, "models.list_models", fail)
    answers = [at.get("/api/v1/models", headers=key.headers) for _ in range(3)]
    assert [answer.headers["Retry-After"] for answer in answers] == ["3", "4", "8"]


def test_answers_that_go_well_make_up_for_errors(strict: flask.Flask, at: FlaskClient, key: Key) -> None:
    at.get("/api/v1/models?x=1", headers=key.headers)
    for _ in range(3):
        at.get("/api/v1/models", headers=key.headers)
    assert strict.extensions["coatcheck"].conduct._errors[f"key:{key.id}"].left == 4.75


@pytest.mark.parametrize(
    ("peer", "said", "network"),
    [
        ("192.0.2.7", "10.0.0.1", "192.0.2.7"),
        ("", "192.0.2.7", "192.0.2.7"),
        ("", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "192.0.2.7", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "", "192.0.2.7"),
    ],
)
def test_a_client_is_known_by_its_network_and_never_by_what_it_says(
    strict: flask.Flask, peer: str, said: str, network: str
) -> None:
    with strict.app_context():
        assert clients.network({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": said}) == network


def test_operators_list_who_is_held_back_and_let_them_go(platform: Platform, at: FlaskClient, key: Key) -> None:
    admin = callers.key(platform, scopes={*keys.CLIENT, "admin"})
    subject = f"address:2001:db8:{uuid.uuid4().hex[:4]}::/64"
    held(platform, subject, 3)
    listed = at.get("/api/v1/admin/blocks", headers=admin.headers).get_json()["blocks"]
    (found,) = [item for item in listed if item["subject"] == subject]
    assert (found["level"], found["reason"], found["tenant"]) == ("blocked", "made", None)
    assert at.delete(f"/api/v1/admin/blocks/{subject}", headers=key.headers).status_code == 403
    assert at.delete(f"/api/v1/admin/blocks/{subject}", headers=admin.headers).status_code == 204
    again = at.delete(f"/api/v1/admin/blocks/{subject}", headers=admin.headers)
    assert (again.status_code, again.get_json()["error"]["code"]) == (404, "BLOCK_NOT_FOUND")
    (row,) = platform.rows("SELECT actor, address FROM audit WHERE object = :subject", subject=subject)
    assert tuple(row) == (f"key:{admin.id}", str(ipaddress.ip_address(at.environ_base["REMOTE_ADDR"])))


def test_who_asks_again_and_again_for_routes_that_are_not_there_is_held_back_as_its_tenants_key(
    platform: Platform, at: FlaskClient, key: Key
) -> None:
    until(lambda: at.get("/api/v1/odd", headers=key.headers).headers.get("X-Conduct"))
    sql = "SELECT tenants.name FROM blocks JOIN tenants ON tenants.id = tenant_id WHERE subject = :subject"
    assert platform.rows(sql, subject=f"key:{key.id}") == [(key.tenant,)]
    assert platform.rows("SELECT FROM blocks WHERE subject = :subject", subject=subject_of(at)) == []


def test_what_a_stranger_who_is_blocked_is_told_is_not_told_to_another(platform: Platform) -> None:
    app = api.create_app(changed(platform.settings, anonymous=True, max_errors=5))
    here, one, other = app.extensions["coatcheck"], app.test_client(), app.test_client()
    for client in (one, other):
        client.environ_base["REMOTE_ADDR"] = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::7"
    held(platform, subject_of(one), 3)
    until(lambda: here.conduct.refusal(subject_of(one)))
    refused = one.get("/api/v1/models")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (429, "BLOCKED")
    assert other.get("/api/v1/models").status_code == 200
    here.close()


def test_a_blocked_key_is_refused_in_the_words_of_the_version_that_it_asks_also_where_that_is_remembered(
    platform: Platform, at: FlaskClient, key: Key
) -> None:
    held(platform, f"key:{key.id}", 3)
    asked = {**key.headers, "Accept": "application/vnd.coatcheck.v2+json"}
    until(lambda: at.get(JOBS, headers=key.headers).status_code == 429)
    for _ in range(3):
        assert set(at.get(JOBS, headers=key.headers).get_json()) == {"error"}
        for answer in (at.get("/api/v2/jobs", headers=key.headers), at.get("/api/jobs", headers=asked)):
            assert (answer.mimetype, answer.get_json()["code"]) == ("application/problem+json", "BLOCKED")
            assert answer.get_json()["instance"] == f"#{answer.headers['X-Request-ID']}"
        for path in ("/api/v2/webhooks/ep_x/keys", "/api/webhooks/ep_x/keys"):
            assert at.get(path, headers=asked).get_json()["code"] == "WEBHOOK_NOT_FOUND"
