"""The front door alone, before something that notes what it is handed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core import errors, settings
from core.http import SAFE_HEADERS
from core.settings import ProxySettings
from local import certificates, proxy
from local.child import Child
from local.state import free_port
from tests.conftest import until

LIMITS = ProxySettings(
    max_body_bytes=100_000, max_wait_s=0, max_connections=8, tls_certificate=None, tls_key=None, cors_origins=()
)


@dataclass
class Behind:
    """Stands where the API would: keeps every request whole, and answers 200 once `go` is set."""

    folder: Path
    seen: list[bytes] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    def serve(self) -> None:
        # The path of the folder may be too long for an address.
        descriptor = os.open(self.folder, os.O_RDONLY)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"/proc/self/fd/{descriptor}/api.sock")
        os.close(descriptor)
        self.listener.listen(64)
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        # The proxy may be ended while it is answered.
        with connection, contextlib.suppress(ConnectionError):
            while head := _head(connection):
                self.seen.append(head)
                self.go.wait(60)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _head(connection: socket.socket) -> bytes:
    """One request, with its body if its length is said."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65536)
        if not piece:
            return b""
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    length = next((int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Door:
    port: int
    metrics: int
    flower: int
    behind: Behind

    def ask(self, *lines: str, body: bytes = b"", port: int = 0) -> tuple[int, dict[str, str], bytes]:
        """Send a request, byte for byte, and read the answer to its end."""
        with self.connect(port) as sock:
            sock.sendall("\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1") + body)
            return answer(sock)

    def connect(self, port: int = 0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=30)


def answer(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    read = b""
    while piece := sock.recv(65536):
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}, body


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    started: list[Child] = []
    listeners: list[Behind] = []

    def start(limits: ProxySettings = LIMITS, *, behind: bool = True) -> Door:
        ports: list[int] = []
        while len(ports) < 3:
            ports.append(free_port(ports))
        doors = proxy.Doors(*(f"127.0.0.1:{port}" for port in ports), api="unix:api.sock", flower="unix:api.sock")
        api = Behind(tmp_path)
        api.go.set()
        if behind:
            listeners.append(api)
            threading.Thread(target=api.serve, daemon=True).start()
            until((tmp_path / "api.sock").exists)
        program = proxy.program(tmp_path, doors, limits, flower_user="joe:open sesame", environ={})
        started.append(Child(program, tmp_path / "proxy.log", tmp_path))
        until(lambda: _listens(ports[0]))
        return Door(*ports, api)

    yield start
    for item in started:
        item.kill()
    for listener in listeners:
        listener.go.set()
        listener.listener.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


GET = ("GET /api/v1/jobs HTTP/1.1", "Host: localhost")
ONE, OTHER = (f"cck_{name * 12}_{name * 56}" for name in "ab")
KEY = f"Authorization: Bearer {ONE}"


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


def test_an_api_that_is_not_there_is_503_and_worth_another_try(opened: Callable[..., Door]) -> None:
    status, headers, body = opened(behind=False).ask(*GET)
    assert (status, headers["retry-after"]) == (503, "2")
    assert json.loads(body)["error"]["code"] == "UNAVAILABLE"


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


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"COATCHECK_MAX_CONNECTIONS": "1"}, "MAX_CONNECTIONS"),
        ({"COATCHECK_TLS_CERTIFICATE": "/nowhere.pem", "COATCHECK_TLS_KEY": "/nowhere.pem"}, "is no file"),
        ({"COATCHECK_TLS_KEY": __file__}, "go together"),
    ],
)
def test_a_wrong_setting_of_the_door_is_named(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], sentence: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(errors.SettingsInvalid, match=sentence):
        settings.proxy()
