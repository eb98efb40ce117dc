"""The front door alone: what it refuses, what it leaves out, and what it says by itself."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

from core.http import SAFE_HEADERS
from tests.local.front import GET, KEY, LIMITS, Door


@pytest.mark.parametrize("how", ["Content-Length: 9", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
@pytest.mark.parametrize("path", ["/api/v1/predict", "/healthz", "/nowhere"])
def test_nobody_waits_for_what_comes_without_a_key(
    opened: Callable[..., Door], method: str, how: str, path: str
) -> None:
    door = opened()
    # Not a byte of the body is sent.
    status, headers, body = door.ask(f"{method} {path} HTTP/1.1", "Host: a", "Authorization: Basic eDp5", how)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert json.loads(body)["error"]["code"] == "UNAUTHORIZED"
    assert door.behind.seen == []


def test_a_strangers_request_is_waited_for_and_handed_on_where_strangers_may_predict(
    opened: Callable[..., Door],
) -> None:
    door = opened(dataclasses.replace(LIMITS, anonymous=True))
    assert door.ask("POST /api/v1/predict HTTP/1.1", "Host: a", "Content-Length: 3", body=b"abc")[0] == 200
    assert door.behind.seen[-1].endswith(b"\r\n\r\nabc")
    assert door.ask("POST /api/v1/predict HTTP/1.1", "Host: a", "Content-Length: 100001")[0] == 413


@pytest.mark.parametrize("name", ["X-Model-Version", "Idempotency-Key", "Prefer", "Last-Event-ID"])
def test_what_would_be_dropped_on_the_way_is_refused(opened: Callable[..., Door], name: str) -> None:
    door = opened()
    assert door.ask(*GET, KEY, f"{name}: é")[0] == 400
    assert door.behind.seen == []
    assert door.ask(*GET, KEY, f"{name}: e")[0] == 200


@pytest.mark.parametrize("line", ["TRACE / HTTP/1.1", "GET /-/503 HTTP/1.1", "GET /metrics HTTP/1.1", "GET / HTTP/1.1"])
def test_what_the_door_says_by_itself_is_as_safe_as_what_the_api_says(opened: Callable[..., Door], line: str) -> None:
    status, headers, body = opened(behind=False).ask(line, "Host: a")
    assert status in (404, 405, 503)
    assert json.loads(body)["error"]["request_id"] == headers["x-request-id"]
    assert {name: headers[name.lower()] for name in SAFE_HEADERS} == SAFE_HEADERS


def test_a_method_that_the_door_refuses_by_itself_comes_with_those_that_it_does_not(
    opened: Callable[..., Door],
) -> None:
    status, headers, body = opened().ask("TRACE /api/v1/jobs HTTP/1.1", "Host: a", KEY)
    assert (status, json.loads(body)["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert {"GET", "POST", "PATCH", "DELETE"} <= set(headers["allow"].split(", "))
    assert "TRACE" not in headers["allow"]


def test_what_cannot_be_read_in_one_way_only_is_refused_or_left_out(opened: Callable[..., Door]) -> None:
    door = opened()
    two = ("GET / HTTP/1.1", "Host: a", "Host: b")
    for lines in (two, ("GET / HTTP/1.1",), ("GET / HTTP/1.1", "Host: a b"), ("GET / HTTP/9.9", "Host: a")):
        status, headers, body = door.ask(*lines)
        assert status in (400, 505), lines
        if status == 400:
            assert json.loads(body)["error"]["code"] == "MALFORMED_REQUEST"
            assert headers["content-type"] == "application/json"
    both = ("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Transfer-Encoding: chunked")
    assert door.ask(*both, body=b"0\r\n\r\n")[0] == 400
    twice = ("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Content-Length: 4")
    assert door.ask(*twice, body=b"abcd")[0] == 400
    status, headers, body = door.ask("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip")
    assert (status, headers["content-type"]) == (501, "application/json")
    assert json.loads(body)["error"]["code"] == "MALFORMED_REQUEST"
    assert door.behind.seen == []
    assert door.ask(*GET, "X_API_Key: cck_1", "X-Api-Kéy: x")[0] == 200
    assert b"cck_1" not in door.behind.seen[-1]


def test_what_only_a_proxy_may_say_is_never_taken_from_a_client(opened: Callable[..., Door]) -> None:
    door = opened()
    said = ("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "Forwarded: for=6.6.6.6")
    door.ask(*GET, *said)
    head = door.behind.seen[-1].lower()
    assert b"x-forwarded-for: 127.0.0.1\r\n" in head
    assert b"x-forwarded-proto: http\r\n" in head
    assert b"6.6.6.6" not in head
    assert b"evil" not in head


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("6.6.6.6, 8.8.8.8, 127.0.0.2", "8.8.8.8"),  # who speaks for a client may not say for whom that one speaks
        ("6.6.6.6, unknown", "127.0.0.1"),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
def test_a_load_balancer_that_is_trusted_is_believed_the_client_next_to_it(
    opened: Callable[..., Door], said: str, told: str
) -> None:
    door = opened(dataclasses.replace(LIMITS, trusted_proxies=("127.0.0.0/8",)))
    door.ask(*GET, f"X-Forwarded-For: {said}")
    assert f"x-forwarded-for: {told}\r\n".encode() in door.behind.seen[-1].lower()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413_in_the_usual_envelope(opened: Callable[..., Door], chunked: bool) -> None:
    door = opened()
    size = LIMITS.max_body_bytes + 1
    how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    body = f"{size:x}\r\n".encode() + b" " * size + b"\r\n0\r\n\r\n" if chunked else b" " * size
    status, headers, content = door.ask("POST /api/v1/predict HTTP/1.1", "Host: a", KEY, how, body=body)
    error = json.loads(content)["error"]
    assert (status, error["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "100000 bytes" in error["message"]
    assert error["request_id"] == headers["x-request-id"]
    assert door.behind.seen == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v2", "text"),
        ("/v2?x=1", "text"),
        ("/v2/models/m/infer", "text"),
        ("/v2x", "v1"),
        ("/api/v2", "problem"),
        ("/api/v2/predict", "problem"),
        ("/api/v9/predict", "problem"),
        ("/api/v1/predict", "v1"),
        ("/api/predict", "v1"),
        ("/x/v2/y", "v1"),
    ],
)
def test_a_refusal_has_the_shape_of_the_errors_at_that_address(
    opened: Callable[..., Door], path: str, told: str
) -> None:
    door = opened(behind=False)
    too_large = door.ask(f"POST {path} HTTP/1.1", "Host: a", KEY, f"Content-Length: {LIMITS.max_body_bytes + 1}")
    without_key = door.ask(f"POST {path} HTTP/1.1", "Host: a", "Content-Length: 3")
    away = door.ask(f"GET {path} HTTP/1.1", "Host: a", KEY)
    for expected, (status, headers, content) in zip((413, 401, 503), (too_large, without_key, away), strict=True):
        body = json.loads(content)
        assert status == expected
        if told == "problem":
            assert headers["content-type"] == "application/problem+json"
            assert (body["status"], body["instance"]) == (status, f"#{headers['x-request-id']}")
            continue
        assert headers["content-type"] == "application/json"
        assert isinstance(body["error"], str) == (told == "text")
        assert told == "text" or body["error"]["request_id"] == headers["x-request-id"]


def test_an_api_that_is_not_there_is_503_and_worth_another_try(opened: Callable[..., Door]) -> None:
    status, headers, body = opened(behind=False).ask(*GET)
    assert (status, headers["retry-after"]) == (503, "2")
    assert json.loads(body)["error"]["code"] == "UNAVAILABLE"
