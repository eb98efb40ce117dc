"""What every route makes of a body that is not what is due: it is refused before anything has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import flask
import pytest
from werkzeug.test import TestResponse

from tests.api import world
from tests.api.world import Route, World
from tests.conftest import Platform
from tests.statements import digest

pytestmark = pytest.mark.usefixtures("quiet")
JSON = "application/json"


@pytest.fixture
def owner(platform: Platform, app: flask.Flask, quiet: None) -> World:
    return world.made(platform, app)


def send(owner: World, route: Route, data: bytes, kind: str = JSON, **headers: str) -> TestResponse:
    given = {**owner.key.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return owner.app.test_client().open(
        route.path(owner.ids),
        method=route.method,
        data=data,
        content_type=kind,
        headers=given,
        # As our server has it: a body of chunks ends by itself.
        environ_overrides={"wsgi.input_terminated": True} if "Transfer-Encoding" in given else None,
    )


def good(route: Route) -> bytes:
    return json.dumps(route.asked.body).encode()


def with_unknown(route: Route) -> bytes:
    return json.dumps({**(route.asked.body or {}), "x": 1}).encode()


def of_wrong_types(route: Route) -> bytes:
    return json.dumps({name: [[]] for name in route.asked.body or ["overlap_s"]}).encode()


Wrong = tuple[Callable[[World, Route], TestResponse], tuple[int, str]]
TYPE, MALFORMED, INVALID = (415, "UNSUPPORTED_MEDIA_TYPE"), (400, "MALFORMED_REQUEST"), (422, "INVALID_INPUT")
WRONG: Mapping[str, Wrong] = {
    "another type": (lambda o, r: send(o, r, good(r), "text/plain"), TYPE),
    "no type": (lambda o, r: send(o, r, good(r), ""), TYPE),
    "a form": (lambda o, r: send(o, r, b"inputs=x", "application/x-www-form-urlencoded"), TYPE),
    "compressed": (lambda o, r: send(o, r, good(r), Content_Encoding="gzip"), TYPE),
    "nothing": (lambda o, r: send(o, r, b""), MALFORMED),
    "cut": (lambda o, r: send(o, r, good(r)[:-1]), MALFORMED),
    "two": (lambda o, r: send(o, r, good(r) * 2), MALFORMED),
    "NaN": (lambda o, r: send(o, r, b'{"x": NaN}'), MALFORMED),
    "a list": (lambda o, r: send(o, r, b"[" + good(r) + b"]"), INVALID),
    "null": (lambda o, r: send(o, r, b"null"), INVALID),
    "an unknown field": (lambda o, r: send(o, r, with_unknown(r)), INVALID),
    "wrong types": (lambda o, r: send(o, r, of_wrong_types(r)), INVALID),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_body_that_is_not_what_is_due_is_refused_by_every_route_that_takes_one(
    platform: Platform, app: flask.Flask, owner: World, what: str
) -> None:
    ask, wanted = WRONG[what]
    before = digest(platform)
    routes = [route for route in world.routes(app) if route.own and route.enveloped and route.asked.body is not None]
    assert len(routes) > 5
    for route in routes:
        answer = ask(owner, route)
        assert (answer.status_code, world.refusal(answer)["code"]) == wanted, (route, answer.text)
        assert digest(platform) == before, route


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "without it"])
def test_a_body_that_is_too_large_is_refused_by_every_route_that_takes_one(
    platform: Platform, app: flask.Flask, owner: World, chunked: bool
) -> None:
    """Without a length it is cut at the limit, and what is left of it may well be JSON."""
    before, most = digest(platform), app.config["MAX_CONTENT_LENGTH"]
    more = {"Transfer_Encoding": "chunked"} if chunked else {}
    for route in world.routes(app):
        if route.own and route.enveloped and route.asked.body is not None:
            answer = send(owner, route, good(route).ljust(most + 1), **more)
            error = world.refusal(answer)
            assert (answer.status_code, error["code"]) == (413, "PAYLOAD_TOO_LARGE"), route
            assert error["message"] == f"The request body is larger than {most} bytes"
            assert digest(platform) == before, route


def test_a_body_may_be_as_large_as_the_limit(app: flask.Flask, owner: World) -> None:
    route = next(route for route in world.routes(app) if route.own and route.name == "predict.predict")
    body, most = good(route), app.config["MAX_CONTENT_LENGTH"]
    assert [send(owner, route, body.ljust(size)).status_code for size in (most, most + 1)] == [200, 413]
    # Of one without a length nobody knows whether it ends where it was cut.
    sizes = (most - 1, most)
    answers = [send(owner, route, body.ljust(size), Transfer_Encoding="chunked") for size in sizes]
    assert [answer.status_code for answer in answers] == [200, 413]


@pytest.mark.parametrize("body", [b'{"a": 1}', b"[]", b"x", b"{", b'""'])
def test_a_body_for_a_route_that_takes_none_is_refused_and_an_empty_one_is_not(
    platform: Platform, app: flask.Flask, owner: World, body: bytes
) -> None:
    before = digest(platform)
    routes = [
        route
        for route in world.routes(app)
        if route.own and route.enveloped and route.asked.body is None and route.method != "GET"
    ]
    assert {route.name for route in routes} == {
        "jobs.cancel", "jobs.retry", "blocks.lift", "webhooks.delete", "webhooks.test", "deliveries.redeliver",
        "keys.revoke", "admin_keys.revoke",
    }  # fmt: skip
    for route in routes:
        answer = send(owner, route, body)
        error: dict[str, Any] = world.refusal(answer)
        assert (answer.status_code, error["details"]) == (422, {"field": "body", "issue": "must be empty"}), route
        assert digest(platform) == before, route


@pytest.mark.parametrize("query", ["x=1", "Limit=1", "limit[]=1", "=1"])
def test_a_query_that_nobody_asked_for_is_refused_by_every_route_of_the_api(
    platform: Platform, app: flask.Flask, owner: World, query: str
) -> None:
    before = digest(platform)
    for route in world.routes(app):
        if route.own and route.rule.rule.startswith("/api/"):
            more: dict[str, Any] = {"json": route.asked.body} if route.asked.body is not None else {}
            client = owner.app.test_client()
            answer = client.open(
                f"{route.path(owner.ids)}?{query}", method=route.method, headers=owner.key.headers, **more
            )
            assert (answer.status_code, world.refusal(answer)["code"]) == (422, "INVALID_INPUT"), route
            assert digest(platform) == before, route
