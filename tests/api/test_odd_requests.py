"""What a real server makes of requests that are not as they should be."""

from __future__ import annotations

import pytest

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
