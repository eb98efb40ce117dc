"""What a real server makes of requests that are not as they should be."""

from __future__ import annotations

import contextlib
import re

import pytest

from api import admission
from core import errors
from tests.api.conftest import Server
from tests.conftest import Platform


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer {key}"), ("X-API-Key", "{key}")],
        [("Authorization", "Basic dTpw"), ("X-API-Key", "{key}")],
        [("Authorization", ""), ("X-API-Key", "{key}")],
        [("Authorization", "Bearer {key}"), ("X-API-Key", "")],
        [("Authorization", "Bearer {key}"), ("Authorization", "Bearer {key}")],
        [("Authorization", "Basic dTpw"), ("Authorization", "Bearer {key}")],
        [("X-API-Key", "{key}"), ("X-API-Key", "{key}")],
        [("X-API-Key", "cck_bad"), ("X-API-Key", "{key}")],
        [("Authorization", "Basic {key}")],
        [("Authorization", "{key}")],
        [("Cookie", "X-API-Key={key}; Authorization=Bearer {key}")],
    ],
)
def test_a_key_is_taken_from_one_place_or_not_at_all(
    server: Server, platform: Platform, headers: list[tuple[str, str]]
) -> None:
    _, key = platform.new_tenant()
    lines = "".join(f"{name}: {value.format(key=key)}\r\n" for name, value in headers)
    answer = server.ask(f"GET /api/v1/jobs HTTP/1.1\r\nHost: h\r\n{lines}")
    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        "GET / HTTP/1.0\r\nHost: a, b\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n",
        'GET / HTTP/1.1\r\nHost: a"><script>\r\n',
        "GET / HTTP/1.1\r\nHost: a:b\r\n",
        "GET / HTTP/1.1\r\nHost: http://a\r\n",
    ],
)
def test_a_request_that_does_not_name_one_host_is_refused(server: Server, head: str) -> None:
    answer = server.ask(head)
    assert answer.split(b" ")[1] == b"400"
    assert b'"field":"Host"' in answer


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.0\r\n",
        "GET / HTTP/1.1\r\nHost: evil.example:81\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Prefix: /evil\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: [::1]:8000\r\nForwarded: host=evil.example;proto=https\r\n",
        "GET / HTTP/1.1\r\nHost: my_api\r\nX-Original-URL: /metrics\r\nX-Rewrite-URL: /metrics\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\n",
    ],
)
def test_where_a_redirect_leads_is_not_for_headers_to_say(server: Server, head: str) -> None:
    answer = server.ask(head)
    assert answer.split(b" ")[1] == b"302"
    assert b"location: /docs\r\n" in answer.lower()
    assert b"evil" not in answer


@pytest.mark.parametrize("protocol", ["HTTP/1", "HTTP/1.0", "HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize("environ", [{}, {"HTTP_HOST": ""}], ids=["none", "empty"])
def test_only_who_speaks_the_first_http_may_name_no_host(protocol: str, environ: dict[str, str]) -> None:
    may = contextlib.nullcontext() if protocol in ("HTTP/1", "HTTP/1.0") else pytest.raises(errors.MalformedRequest)
    with may:
        admission._check_host({**environ, "SERVER_PROTOCOL": protocol})


def test_a_host_that_is_none_is_quoted_in_part() -> None:
    with pytest.raises(errors.MalformedRequest) as caught:
        admission._check_host({"HTTP_HOST": "\xe9" * 101, "SERVER_PROTOCOL": "HTTP/1.0"})
    assert caught.value.details["received"] == "\xe9" * 100


INNER = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = "GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
CHUNKED = f"{len(INNER):x}\r\n{INNER}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "rest", "answers"),
    [
        (f"POST /api/v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: {len(INNER)}\r\n", INNER + LAST, [401, 200]),
        ("POST /api/v1/jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n", CHUNKED + LAST, [401, 200]),
        (f"POST /api/v1/jobs HTTP/1.1\r\nHost: a b\r\nContent-Length: {len(INNER)}\r\n", INNER + LAST, [400, 200]),
        (f"GET /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: {len(INNER)}\r\n", INNER + LAST, [404, 200]),
        # Two lengths: chunked holds (RFC 9112 §6.1), and nothing that follows is looked at.
        (
            "POST /api/v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n",
            f"0\r\n\r\n{INNER}",
            [401],
        ),
        ("POST /api/v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n", f"hello{INNER}", [400]),
        ("POST /api/v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n", INNER, [400]),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n" + "".join(f"X{n}: 1\r\n" for n in range(5000)), INNER, [431]),
        ("PRI * HTTP/2.0\r\n", "SM\r\n\r\n", []),
    ],
)
def test_what_follows_a_body_that_nobody_read_is_a_request_only_if_it_is_one(
    server: Server, head: str, rest: str, answers: list[int]
) -> None:
    with server.connect(head, rest.encode()) as connection:
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert list(map(int, re.findall(rb"HTTP/1\.1 (\d{3}) ", answer))) == answers


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "/%6detrics", "http://a/metrics", "/metrics?x"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_metrics_have_no_back_door(server: Server, method: str, path: str) -> None:
    assert server.ask(f"{method} {path} HTTP/1.1\r\nHost: a\r\n").startswith(b"HTTP/1.1 401 ")
