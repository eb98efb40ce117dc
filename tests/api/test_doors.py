"""What holds for every route there is: who may come in, and what every answer carries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

from access import keys
from api import EDITIONS, admission, editions
from core.http import SAFE_HEADERS
from tests import callers
from tests.conftest import Platform

BODIES: list[dict[str, Any]] = [
    {},
    {"json": {"inputs": {}}},
    {"data": b"{", "content_type": "application/json"},
]
CONTRACTS = [f"/openapi/{edition.name}.json" for edition in EDITIONS]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "MADEUP")


def routes(app: flask.Flask) -> Iterator[tuple[str, str, str]]:
    """Name, method and an address of every route."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods or ()):
            yield editions.route(rule.endpoint), method, re.sub(r"<[^>]*>", "x", rule.rule)


@pytest.fixture
def metrics_key(platform: Platform) -> str:
    return keys.create(platform.engine, tenant="monitoring", name="prometheus", scopes={"metrics"})


@pytest.fixture
def broken(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A route with a bug in it."""

    def fail() -> flask.Response:
        raise ZeroDivisionError

    monkeypatch.setitem(app.view_functions, "health.healthz", fail)


@pytest.mark.usefixtures("broken")
def test_every_answer_of_every_route_says_that_nobody_may_keep_or_frame_it(
    app: flask.Flask, client: FlaskClient, anonymous: FlaskClient
) -> None:
    statuses = set()
    paths = {path for _, _, path in routes(app)} | {"/nothing", "/api/v1/jobs/x/y", "/api/v2/jobs/x/y", "/api/jobs"}
    for path in sorted(paths):
        for method in METHODS:
            for who in (client, anonymous):
                for body in BODIES:
                    with who.open(path, method=method, **body) as answer:
                        statuses.add(answer.status_code)
                        assert (answer.status_code == 405) == ("Allow" in answer.headers) or method == "OPTIONS"
                        kept = path in ("/docs", *CONTRACTS) and answer.status_code == 200
                        for name, value in SAFE_HEADERS.items():
                            if name == "Content-Security-Policy":
                                assert "default-src 'none'" in answer.headers[name]
                                assert "frame-ancestors 'none'" in answer.headers[name]
                            elif not (kept and name == "Cache-Control"):
                                assert answer.headers[name] == value, (method, path, answer.status_code)
    assert statuses >= {200, 302, 400, 401, 404, 405, 415, 422, 500}


@pytest.mark.parametrize(
    ("method", "path", "how", "said"),
    [
        ("GET", "/nothing", {}, "There is no such route: the contract, at /openapi/v1.json, lists them all"),
        (
            "PUT",
            "/api/v1/predict",
            {},
            "This route does not take this method; the header Allow says which it takes",
        ),
        ("POST", "/api/v1/predict", {"data": b"x"}, "Send the body as Content-Type: application/json"),
    ],
)
def test_what_werkzeug_refuses_is_said_once_and_in_our_words(
    client: FlaskClient, method: str, path: str, how: dict[str, Any], said: str
) -> None:
    assert client.open(path, method=method, **how).get_json()["error"]["message"] == said


def test_what_is_not_open_to_everybody_takes_a_key_of_the_right_scope(
    platform: Platform, app: flask.Flask, client: FlaskClient, anonymous: FlaskClient, metrics_key: str
) -> None:
    plain = callers.key(platform).headers
    for endpoint, method, path in routes(app):
        if endpoint in admission.KEYLESS:
            continue
        assert anonymous.open(path, method=method).status_code == 401, (method, path)
        assert client.open(path, method=method).status_code not in (401, 403), (method, path)
        monitoring = anonymous.open(path, method=method, headers={"X-API-Key": metrics_key})
        assert (monitoring.status_code == 403) == (endpoint != "health.metrics"), (method, path)
        if keys.ADMIN in admission.SCOPES[endpoint]:
            assert anonymous.open(path, method=method, headers=plain).status_code == 403, (method, path)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_contract_says_which_routes_need_no_key(app: flask.Flask, anonymous: FlaskClient, contract: str) -> None:
    known = {endpoint for endpoint, _, _ in routes(app)}
    assert known == admission.KEYLESS | set(admission.SCOPES)
    assert not admission.KEYLESS & set(admission.SCOPES)
    paths = anonymous.get(contract).get_json()["paths"]
    open_ones = {path for path, item in paths.items() if any("security" in verb for verb in item.values())}
    named = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule): editions.route(rule.endpoint)
        for rule in app.url_map.iter_rules()
    }
    assert {named[path] for path in open_ones} == {named[path] for path in paths} & admission.KEYLESS
