"""The front door alone: what it waits for, how much of it at once, and which doors there are."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from core import errors, settings
from local import certificates, proxy
from tests.conftest import until
from tests.local.front import GET, KEY, LIMITS, ONE, OTHER, Door, answer


def test_a_request_is_handed_on_when_it_is_whole_and_not_before(opened: Callable[..., Door]) -> None:
    door = opened()
    with door.connect() as slow:
        slow.sendall(
            b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + f"{KEY}\r\nContent-Length: 6\r\n\r\nabc".encode()
        )
        # Whoever came later is answered meanwhile.
        assert door.ask(*GET)[0] == 200
        assert [head for head in door.behind.seen if head.startswith(b"POST")] == []
        slow.sendall(b"def")
        assert answer(slow)[0] == 200
    assert door.behind.seen[-1].endswith(b"\r\n\r\nabcdef")


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\nX-A: a", f"POST / HTTP/1.1\r\nHost: a\r\n{KEY}\r\nContent-Length: 9\r\n\r\na".encode()],
)
def test_who_sends_nothing_or_does_not_go_on_is_shut_out(opened: Callable[..., Door], sent: bytes) -> None:
    door = opened()
    with door.connect() as slow, contextlib.suppress(ConnectionResetError):
        slow.settimeout(60)  # its own wait is 10 s
        slow.sendall(sent)
        while slow.recv(65536):
            pass
    assert door.behind.seen == []


def test_http_2_is_not_spoken(opened: Callable[..., Door]) -> None:
    door = opened()
    with door.connect() as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
        assert answer(sock)[0] == 400
    assert door.behind.seen == []


def test_a_key_has_so_many_requests_at_once_and_other_keys_have_theirs(opened: Callable[..., Door]) -> None:
    door = opened()
    door.behind.go.clear()
    alice = (*GET, KEY)
    held = [door.connect() for _ in range(LIMITS.max_connections)]
    try:
        for sock in held:
            sock.sendall("\r\n".join((*alice, "", "")).encode())
        until(lambda: len(door.behind.seen) == LIMITS.max_connections)
        for same in (f"Authorization: bearer {300 * ' '}{ONE}", f"X-API-Key: {ONE}", f"AUTHORIZATION: Bearer {ONE} "):
            status, headers, body = door.ask(*GET, same)
            assert (status, headers["retry-after"]) == (429, "2")
            assert json.loads(body)["error"]["code"] == "TOO_MANY_REQUESTS"
        door.behind.go.set()
        assert door.ask(*GET, f"Authorization: Bearer {OTHER}")[0] == 200
        # And every place is given back.
        for sock in held:
            sock.close()
        until(lambda: door.ask(*alice)[0] == 200)
    finally:
        for sock in held:
            sock.close()


def test_a_token_is_waited_for_and_counted_as_a_key_is(opened: Callable[..., Door]) -> None:
    door = opened()
    door.behind.go.clear()
    mine, other = (f"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.{'x' * 300}{name * 40}" for name in "ab")
    held = [door.connect() for _ in range(LIMITS.max_connections)]
    post = ("POST /api/v1/predict HTTP/1.1", "Host: localhost", "Content-Length: 3")
    try:
        for sock in held:
            sock.sendall("\r\n".join((*post, f"Authorization: Bearer {mine}", "", "abc")).encode())
        until(lambda: len(door.behind.seen) == LIMITS.max_connections)
        for same in (f"authorization: bearer   {mine}", f"X-API-Key: {mine}"):
            assert door.ask(*GET, same)[0] == 429
        door.behind.go.set()
        assert door.ask(*GET, f"Authorization: Bearer {other}")[0] == 200
        # What is no token is a stranger's.
        for strange in ("eyJ.eyJ", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.", f"x{other}", f"{other}."):
            assert door.ask(*post, f"Authorization: Bearer {strange}")[0] == 401
    finally:
        for sock in held:
            sock.close()


def test_a_full_door_is_no_other_door_and_no_other_network(opened: Callable[..., Door]) -> None:
    door = opened()
    door.behind.go.clear()
    most = LIMITS.max_connections * proxy.KEYS_PER_NETWORK
    keys = [f"cck_{number:012x}_{number:056x}" for number in range(1, 9)]
    held = [door.connect() for _ in range(most)]
    try:
        for number, sock in enumerate(held):
            sock.sendall("\r\n".join((*GET, f"X-API-Key: {keys[number % 8]}", "", "")).encode())
        until(lambda: len(door.behind.seen) == most)
        # Whatever is written into a header, it stays this network's.
        for more in ((), (KEY,), ("Authorization: 127.0.0.9",), (f"Authorization: {'x' * 5000}",)):
            assert door.ask(*GET, *more)[0] == 429
        assert door.ask("GET /metrics HTTP/1.1", "Host: a", KEY, port=door.flower)[0] == 401
        door.behind.go.set()
        assert door.ask("GET /healthz HTTP/1.1", "Host: a")[0] == 200
        assert door.ask("GET /metrics HTTP/1.1", "Host: a", KEY, port=door.metrics)[0] == 200
    finally:
        for sock in held:
            sock.close()


def test_no_key_is_in_the_log_of_the_proxy(opened: Callable[..., Door], tmp_path: Path) -> None:
    door = opened(behind=False)
    for header in (KEY, f"Authorization: Bearer{300 * ' '}{ONE}", f"X-API-Key: {ONE}{'x' * 300}", f"X_API_Key: {ONE}"):
        door.ask(*GET, header)
        door.ask("POST / HTTP/1.1", "Host: a", header, "Content-Length: 999999999")
    log = (tmp_path / "proxy.log").read_text()
    assert "connect() to unix:api.sock failed" in log
    assert ONE[4:] not in log


def test_metrics_are_at_their_own_port_alone_and_nothing_else_is(opened: Callable[..., Door]) -> None:
    door = opened()
    assert door.ask("GET /metrics HTTP/1.1", "Host: a")[0] == 404
    assert door.behind.seen == []
    assert door.ask("GET /metrics HTTP/1.1", "Host: a", port=door.metrics)[0] == 200
    for path in ("/api/v1/jobs", "/metrics/", "/healthz", "/docs"):
        assert door.ask(f"GET {path} HTTP/1.1", "Host: a", port=door.metrics)[0] == 404
    assert len(door.behind.seen) == 1


def test_nothing_of_flower_is_shown_without_its_password(opened: Callable[..., Door]) -> None:
    door = opened()
    for path in ("/", "/metrics", "/healthcheck", "/api/workers", "/static/css/flower.css"):
        assert door.ask(f"GET {path} HTTP/1.1", "Host: a", port=door.flower)[0] == 401
        wrong = "Authorization: Basic am9lOndyb25n"  # joe:wrong
        assert door.ask(f"GET {path} HTTP/1.1", "Host: a", wrong, port=door.flower)[0] == 401
    assert door.behind.seen == []
    right = "Authorization: Basic am9lOm9wZW4gc2VzYW1l"  # joe:open sesame
    assert door.ask("GET / HTTP/1.1", "Host: a", right, port=door.flower)[0] == 200


def test_with_a_certificate_it_speaks_tls_and_nothing_else(opened: Callable[..., Door], tmp_path: Path) -> None:
    made = certificates.ensure(tmp_path / "tls")
    door = opened(dataclasses.replace(LIMITS, tls_certificate=made.certificate, tls_key=made.key))
    context = ssl.create_default_context(cafile=str(made.authority))
    with context.wrap_socket(door.connect(), server_hostname="127.0.0.1") as sock:
        assert sock.version() in ("TLSv1.2", "TLSv1.3")
        sock.sendall("\r\n".join((*GET, "Connection: close", "", "")).encode())
        assert answer(sock)[0] == 200
    assert b"x-forwarded-proto: https" in door.behind.seen[-1].lower()
    assert door.ask(*GET)[0] == 400


@pytest.mark.parametrize("wrong", ["another's key", "a key with a password", None])
def test_a_certificate_is_taken_with_its_own_open_key_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str | None
) -> None:
    made = certificates.ensure(tmp_path / "tls")
    key = certificates.ensure(tmp_path / "other").key if wrong == "another's key" else made.key
    if wrong == "a key with a password":
        key = tmp_path / "locked.pem"
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        opened = serialization.load_pem_private_key(made.key.read_bytes(), None)
        key.write_bytes(opened.private_bytes(pem, form, serialization.BestAvailableEncryption(b"secret")))
    monkeypatch.setenv("COATCHECK_TLS_CERTIFICATE", str(made.certificate))
    monkeypatch.setenv("COATCHECK_TLS_KEY", str(key))
    if wrong is None:
        assert settings.speaking_tls().tls_key == key
    else:
        with pytest.raises(errors.SettingsInvalid, match="no certificate in PEM and its key without a password: "):
            settings.speaking_tls()


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"COATCHECK_MAX_CONNECTIONS": "1"}, "MAX_CONNECTIONS"),
        ({"COATCHECK_TLS_CERTIFICATE": "/nowhere.pem", "COATCHECK_TLS_KEY": "/nowhere.pem"}, "is no file"),
        ({"COATCHECK_TLS_KEY": __file__}, "go together"),
        ({"COATCHECK_TLS_CERTIFICATE": __file__, "COATCHECK_TLS_KEY": __file__}, "no certificate in PEM and its key"),
    ],
)
def test_a_wrong_setting_of_the_door_is_named(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], sentence: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(errors.SettingsInvalid, match=sentence):
        settings.speaking_tls()
