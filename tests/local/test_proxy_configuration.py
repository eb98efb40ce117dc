"""What the front door is told: each setting in its place, and each refusal word for word."""

from __future__ import annotations

import dataclasses
import json
import re
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from api.v2 import present
from core.http import SAFE_HEADERS
from core.setting_doors import Http
from local import proxy
from tests.local.front import LIMITS

DOORS = proxy.Doors("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", api="unix:api.sock", flower="unix:flower.sock")
STORE = dataclasses.replace(DOORS, store_listen="127.0.0.1:4", store="seaweedfs:8333")


def lines(http: Http = LIMITS, doors: proxy.Doors = DOORS) -> list[str]:
    return [line.strip() for line in proxy.configuration(doors, http).splitlines()]


def beginning(word: str, found: list[str]) -> list[str]:
    return [line.removeprefix(word).strip() for line in found if line.startswith(f"{word} ")]


@pytest.mark.parametrize(("wait_s", "told"), [(0, "30s"), (7.9, "37s"), (60, "90s")])
def test_the_api_may_be_silent_for_longer_than_anybody_waits(wait_s: float, told: str) -> None:
    assert beginning("proxy_read_timeout", lines(dataclasses.replace(LIMITS, max_wait_s=wait_s))) == [f"{told};"]


def test_a_limit_is_told_as_it_is_set_and_a_network_has_four_times_a_keys() -> None:
    found = lines(dataclasses.replace(LIMITS, max_body_bytes=12_345, max_connections=9))
    assert "12345;" in beginning("client_max_body_size", found)
    assert {"key 9;", "network 36;"} <= set(beginning("limit_conn", found))


@pytest.mark.parametrize(
    ("files", "connections"),
    [(resource.RLIM_INFINITY, 16_384), (0, 16_384), (1, 0), (1024, 512), (32_767, 16_383), (32_770, 16_384)],
)
def test_so_many_connections_are_taken_as_there_may_be_files_for_two_each(
    monkeypatch: pytest.MonkeyPatch, files: int, connections: int
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda kind: {resource.RLIMIT_NOFILE: (7, files)}[kind])
    found = lines()
    assert beginning("worker_connections", found) == [f"{connections};"]
    assert beginning("worker_rlimit_nofile", found) == [f"{2 * connections};"]


def test_each_door_is_where_it_is_said_to_be_and_leads_to_what_is_behind_it() -> None:
    assert beginning("listen", lines()) == ["127.0.0.1:1 backlog=1024;", "127.0.0.1:2;", "127.0.0.1:3;"]
    assert beginning("server", lines()) == [
        "unix:api.sock max_fails=0;",
        "unix:flower.sock max_fails=0;",
        "{",
        "{",
        "{",
    ]
    found = lines(doors=STORE)
    assert beginning("listen", found)[3:] == ["127.0.0.1:4;"]
    assert "seaweedfs:8333 max_fails=0;" in beginning("server", found)
    assert beginning("ssl_certificate", found) == beginning("resolver", found) == []


def test_a_dns_server_is_asked_again_for_every_name_behind() -> None:
    found = lines(doors=dataclasses.replace(STORE, resolver="127.0.0.11"))
    assert beginning("resolver", found) == ["127.0.0.11 valid=5s;"]
    assert [line for line in beginning("server", found) if "max_fails" in line] == [
        f"{place} max_fails=0 resolve;" for place in ("unix:api.sock", "unix:flower.sock", "seaweedfs:8333")
    ]


def test_the_lane_is_asked_first_for_so_long_and_not_again_for_a_while_when_it_is_silent() -> None:
    found = lines(doors=dataclasses.replace(DOORS, express="unix:express.sock", resolver="127.0.0.11"))
    assert beginning("server", found)[1:3] == [
        "unix:express.sock max_fails=1 fail_timeout=10s resolve;", "unix:passed-by.sock backup;"
    ]  # fmt: skip
    assert "unix:passed-by.sock;" in beginning("listen", found)
    assert beginning("proxy_read_timeout", found) == ["30s;", "3s;", "20s;"]
    assert beginning("location", found).count("@api {") == 1
    assert {"= /api/v1/predict {", "= /api/v1/jobs {"} <= set(beginning("location", found))
    # What the lane is not there to say, nginx says as it does elsewhere, for each of the two.
    assert beginning("error_page", found).count("500 502 504 =503 /-/503$worn;") == 3


def test_with_a_certificate_clients_and_files_are_behind_tls() -> None:
    certificate, key = Path('/it\'s "mine"/é.pem'), Path("/k y.pem")
    found = lines(dataclasses.replace(LIMITS, tls_certificate=certificate, tls_key=key), STORE)
    assert beginning("listen", found) == [
        "127.0.0.1:1 backlog=1024 ssl;", "127.0.0.1:2;", "127.0.0.1:3;", "127.0.0.1:4 ssl;",
    ]  # fmt: skip
    assert beginning("ssl_certificate", found) == ['"/it\'s \\"mine\\"/é.pem";'] * 2
    assert beginning("ssl_certificate_key", found) == ['"/k y.pem";'] * 2
    assert beginning("ssl_protocols", found) == ["TLSv1.2 TLSv1.3;"] * 2


@pytest.mark.parametrize(
    ("origins", "told", "vary"),
    [
        ((), ['default "";'], 'default "";'),
        (("*",), ['"" "";', 'default "*";'], 'default "";'),
        (("https://a", "http://b:1"),
         ['default "";', '"https://a" "https://a";', '"http://b:1" "http://b:1";'], 'default "Origin";'),
    ],
)  # fmt: skip
def test_pages_of_the_origins_that_are_listed_are_told_so_and_no_others(
    origins: tuple[str, ...], told: list[str], vary: str
) -> None:
    found = lines(dataclasses.replace(LIMITS, cors_origins=origins))
    at = found.index("map $http_origin $cors {") + 1
    assert found[at : found.index("}", at)] == told
    assert found[found.index("map $http_origin $cors_vary {") + 1] == vary


def test_only_proxies_that_are_listed_may_say_whom_they_speak_for() -> None:
    assert not [line for line in lines() if "real_ip" in line]
    found = lines(dataclasses.replace(LIMITS, trusted_proxies=("10.0.0.0/8", "2001:db8::7")))
    assert beginning("set_real_ip_from", found) == ["10.0.0.0/8;", "2001:db8::7;"]
    assert (beginning("real_ip_header", found), beginning("real_ip_recursive", found)) == (
        ["X-Forwarded-For;"], ["on;"],
    )  # fmt: skip


REFUSALS: dict[int, tuple[str, str, dict[str, str]]] = {
    400: ("MALFORMED_REQUEST", "The request is not valid HTTP, or its header is too large", {}),
    401: ("UNAUTHORIZED", "A valid API key is required", {"WWW-Authenticate": "Bearer"}),
    404: ("NOT_FOUND", "There is nothing here", {}),
    405: ("METHOD_NOT_ALLOWED", "The method is not allowed here", {"Allow": "DELETE, GET, HEAD, OPTIONS, PATCH, POST"}),
    413: ("PAYLOAD_TOO_LARGE", "The request body is larger than 100000 bytes", {}),
    414: ("URI_TOO_LONG", "The address is too long", {}),
    429: ("TOO_MANY_REQUESTS", "More than 8 requests of this key are open at once", {"Retry-After": "2"}),
    503: (
        "UNAVAILABLE",
        "The service cannot answer at the moment; try again, with an Idempotency-Key where nothing may be done twice",
        {"Retry-After": "2"},
    ),
}
ALWAYS = {
    **SAFE_HEADERS, "X-Request-ID": "$request_id", "Access-Control-Allow-Origin": "$cors",
    "Access-Control-Expose-Headers": "$cors_exposed", "Vary": "$cors_vary",
}  # fmt: skip


def refusal(status: int, worn: str = "", media_type: str = "application/json") -> tuple[dict[str, str], Any]:
    """The headers, and the body, that the door has for a status."""
    found = lines()
    at = found.index(f"location = /-/{status}{worn} {{")
    part = found[at + 1 : found.index("}", at)]
    assert part[:2] == ["internal;", f"default_type {media_type};"]
    matches = [re.fullmatch(r'add_header (\S+) "(.*)" always;', line) for line in part[2:-1]]
    body = part[-1].removeprefix(f"return {status} '").removesuffix("';")
    return {item[1]: item[2] for item in matches if item}, json.loads(body)


@pytest.mark.parametrize("status", REFUSALS)
def test_what_the_door_refuses_it_says_as_the_api_would(status: int) -> None:
    code, message, more = REFUSALS[status]
    headers, body = refusal(status)
    assert headers == {**ALWAYS, **more}
    assert body == {
        "error": {
            "code": code, "message": message, "details": {}, "request_id": "$request_id",
            "timestamp": "$time_iso8601",
        }
    }  # fmt: skip


@pytest.mark.parametrize("status", REFUSALS)
def test_what_the_door_refuses_at_v2_is_a_problem_as_v2_has_it(status: int) -> None:
    code, message, more = REFUSALS[status]
    headers, body = refusal(status, "/problem", "application/problem+json")
    assert headers == {**ALWAYS, **more}
    assert body == {
        "type": f"/openapi/v2.json#/{present.PLACE}/{code}", "title": present.titles()[code], "status": status,
        "detail": message, "instance": "#$request_id", "code": code, "request_id": "$request_id",
        "timestamp": "$time_iso8601",
    }  # fmt: skip


@pytest.mark.parametrize("status", REFUSALS)
def test_what_the_door_refuses_in_the_open_protocol_is_a_text(status: int) -> None:
    _, message, more = REFUSALS[status]
    assert refusal(status, "/text") == ({**ALWAYS, **more}, {"error": message})


def test_every_refusal_has_its_words_and_every_kind_of_it_leads_there() -> None:
    pages = [line for line in beginning("error_page", lines()) if "@" not in line]
    special = {400: "400 494 495 496 497 501 /-/400$worn;"}
    expected = {special.get(status, f"{status} /-/{status}$worn;") for status in REFUSALS}
    assert expected | {"500 502 504 =503 /-/503$worn;"} <= set(pages)
    assert {item[0] for item in proxy.ERRORS} == REFUSALS.keys()


def test_the_program_has_its_files_to_itself_and_finishes_what_it_serves(tmp_path: Path) -> None:
    # Of one that was killed.
    passed_by = tmp_path / "passed-by.sock"
    passed_by.touch()
    made = proxy.program(tmp_path, DOORS, LIMITS, flower_user="joe:a:b", environ={"PATH": "/bin"})
    assert (passed_by.exists(), made.leftovers, made.grace_s) == (False, (passed_by,), 5)
    assert (made.name, made.cwd, made.stop, made.unprivileged) == ("proxy", tmp_path, signal.SIGQUIT, True)
    assert tuple(made.command)[1:] == ("-e", "stderr", "-p", f"{tmp_path}/", "-c", "nginx.conf")
    assert made.env == {"PATH": "/bin"}
    assert (tmp_path / "nginx.conf").read_text() == proxy.configuration(DOORS, LIMITS)
    assert (tmp_path / "flower.users").read_text() == "joe:{PLAIN}a:b\n"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
