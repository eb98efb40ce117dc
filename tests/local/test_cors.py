"""What pages of other origins may do: decided by the proxy, for its own answers and the API's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from core import errors, settings
from tests.local.front import GET, LIMITS, Door

APP = "https://app.example.com"
BROWSER = dataclasses.replace(LIMITS, cors_origins=(APP, "http://localhost:5173"))
PREFLIGHT = (
    "OPTIONS /api/v1/jobs HTTP/1.1",
    "Host: localhost",
    "Access-Control-Request-Method: POST",
    "Access-Control-Request-Headers: authorization,content-type,traceparent",
)
KEY = f"Authorization: Bearer cck_{'0' * 12}_{'0' * 56}"


def _origin(headers: dict[str, str]) -> str | None:
    return headers.get("access-control-allow-origin")


def test_a_page_of_a_listed_origin_is_let_in_before_its_key_is_asked_for(opened: Callable[..., Door]) -> None:
    door = opened(BROWSER)
    status, headers, body = door.ask(*PREFLIGHT, f"Origin: {APP}")
    assert (status, body, _origin(headers)) == (204, b"", APP)
    assert {"GET", "POST", "PATCH", "DELETE"} <= set(headers["access-control-allow-methods"].split(", "))
    wanted = {"Authorization", "Content-Type", "Idempotency-Key", "Prefer", "X-API-Key", "X-Model-Version", "*"}
    assert wanted <= set(headers["access-control-allow-headers"].split(", "))
    assert (headers["access-control-max-age"], headers["vary"]) == ("7200", "Origin")
    assert "access-control-allow-credentials" not in headers
    assert door.behind.seen == []


def test_such_a_page_may_read_every_answer_also_those_of_the_proxy_itself(opened: Callable[..., Door]) -> None:
    door = opened(BROWSER)
    origin = "Origin: http://localhost:5173"
    asked = {
        200: (*GET, KEY, origin),
        401: ("POST /api/v1/jobs HTTP/1.1", "Host: localhost", "Content-Length: 2", origin),
        404: ("GET /metrics HTTP/1.1", "Host: localhost", KEY, origin),
        413: ("POST /api/v1/jobs HTTP/1.1", "Host: localhost", "Content-Length: 100001", KEY, origin),
    }
    for status, lines in asked.items():
        found, headers, _ = door.ask(*lines)
        assert (found, _origin(headers), headers["vary"]) == (status, "http://localhost:5173", "Origin")
        assert {"Location", "Retry-After", "X-Request-ID", "ETag", "X-Model-Version"} <= set(
            headers["access-control-expose-headers"].split(", ")
        )


def test_an_api_that_is_away_says_so_to_pages_too(opened: Callable[..., Door]) -> None:
    status, headers, _ = opened(BROWSER, behind=False).ask(*GET, KEY, f"Origin: {APP}")
    assert (status, _origin(headers), headers["retry-after"]) == (503, APP, "2")


@pytest.mark.parametrize("stranger", ["https://app.example.com.evil.example", "http://app.example.com", "null", ""])
def test_a_page_of_another_origin_is_told_nothing(opened: Callable[..., Door], stranger: str) -> None:
    door = opened(BROWSER)
    status, headers, _ = door.ask(*PREFLIGHT, f"Origin: {stranger}")
    assert (status, _origin(headers)) == (200, None)  # the API's own answer, which asks for a key
    status, headers, _ = door.ask(*GET, KEY, f"Origin: {stranger}")
    assert (status, _origin(headers), headers["vary"]) == (200, None, "Origin")


def test_without_the_setting_nothing_is_said_of_origins(opened: Callable[..., Door]) -> None:
    _, headers, _ = opened().ask(*GET, KEY, f"Origin: {APP}")
    assert not [name for name in headers if name == "vary" or name.startswith("access-control")]


def test_a_star_lets_everybodys_pages_in(opened: Callable[..., Door]) -> None:
    door = opened(dataclasses.replace(LIMITS, cors_origins=("*",)))
    for lines, expected in ((PREFLIGHT, 204), ((*GET, KEY), 200)):
        status, headers, _ = door.ask(*lines, "Origin: https://anywhere.example")
        assert (status, _origin(headers), "vary" in headers) == (expected, "*", False)
    assert _origin(door.ask(*GET, KEY)[1]) is None


@pytest.mark.parametrize(
    "origin",
    [
        f"{APP}/",
        f"{APP}/page",
        f"{APP}:443",
        "http://localhost:80",
        "http://localhost:65536",
        "https://App.example.com",
        "https://*.example.com",
        "https://joe@app.example.com",
        "app.example.com",
        "null",
        f"*,{APP}",
        f'{APP}" "x',
        f"{APP};",
    ],
)
def test_what_no_browser_sends_as_an_origin_stops_the_start(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("COATCHECK_CORS_ORIGINS", origin)
    with pytest.raises(errors.SettingsInvalid, match="COATCHECK_CORS_ORIGINS"):
        settings.proxy()


@pytest.mark.parametrize("origin", [APP, "http://localhost:5173", "http://[::1]:3000", "capacitor://localhost", "*"])
def test_what_browsers_send_is_taken(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("COATCHECK_CORS_ORIGINS", origin)
    assert settings.proxy().cors_origins == (origin,)
