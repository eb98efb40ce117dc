"""Receivers that behave as they are told, and a sender in this process."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import flask.testing
import pytest

from core.settings import Settings
from tests import hands
from tests.changed import changed
from tests.conftest import Platform, until
from tests.engines import RECEIVERS
from webhooks.courier import Courier

#: The schedule of the tests: as many attempts as in production, a thousand times as fast.
SCHEDULE = (0.0, *[0.2] * 9)
#: Longer than any call of a receiver that answers, on any machine.
CALL_S = 15.0


@dataclass(frozen=True)
class Got:
    """One call as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


Behave = Callable[[http.server.BaseHTTPRequestHandler, int], None]


def say(status: int, body: bytes = b"", **headers: str) -> Behave:
    """Always this answer."""

    def behave(call: http.server.BaseHTTPRequestHandler, _: int) -> None:
        call.send_response(status)
        for name, value in headers.items():
            call.send_header(name.replace("_", "-"), value)
        call.send_header("Content-Length", str(len(body)))
        call.end_headers()
        call.wfile.write(body)

    return behave


def first(bad: Behave, count: int, then: Behave) -> Behave:
    """One way for so many calls, then another."""

    def behave(call: http.server.BaseHTTPRequestHandler, number: int) -> None:
        (bad if number <= count else then)(call, number)

    return behave


@dataclass
class Receiver:
    """A real HTTP server; `behave` answers the n-th call (from 1)."""

    url: str
    behave: Behave
    calls: list[Got] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def got(self, count: int, timeout_s: float = 120.0) -> list[Got]:
        """Wait for so many calls."""
        until(lambda: len(self.calls) >= count, timeout_s)
        return self.calls


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    #: Of five, the sixth of many senders at once would wait a second or more to be let in.
    request_queue_size = 128
    receiver: Receiver

    def handle_error(self, *_: object) -> None:
        """A sender that hangs up is what half of the tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server.receiver
        with receiver.lock:
            receiver.calls.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            number = len(receiver.calls)
        self.close_connection = True
        receiver.behave(self, number)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _bound(ports: Iterator[int]) -> _Server:
    """On the next port that nobody has taken meanwhile."""
    for port in itertools.islice(ports, RECEIVERS):
        with contextlib.suppress(OSError):
            return _Server(("127.0.0.1", port), _Handler)
    raise OSError("no port is left for a receiver")


@pytest.fixture(scope="session")
def receiver_ports(platform: Platform) -> Iterator[int]:
    """Those that may be called on this machine, one after the other."""
    return itertools.cycle(platform.settings.webhooks.loopback)


@pytest.fixture
def new_receiver(receiver_ports: Iterator[int]) -> Iterator[Callable[..., Receiver]]:
    servers: list[_Server] = []

    def start(behave: Behave | None = None, tls: ssl.SSLContext | None = None) -> Receiver:
        server = _bound(receiver_ports)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https" if tls else "http"
        server.receiver = Receiver(f"{scheme}://127.0.0.1:{server.server_port}/hook", behave or say(200))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server.receiver

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver(new_receiver: Callable[..., Receiver]) -> Receiver:
    return new_receiver()


@pytest.fixture
def hasty(platform: Platform) -> Settings:
    """The settings with time compressed."""
    return changed(platform.settings, webhook_schedule=SCHEDULE, webhook_timeout_s=CALL_S)


@pytest.fixture
def no_webhooks(platform: Platform, quiet: None) -> None:
    platform.truncate("webhook_endpoints, webhook_secrets, webhook_deliveries, webhook_attempts, webhook_troubles")


@pytest.fixture
def new_courier(platform: Platform, no_webhooks: None) -> Callable[[Settings], Courier]:
    def make(settings: Settings) -> Courier:
        return hands.courier(platform, settings, worker="io/inc/1")

    return make


@pytest.fixture
def courier(new_courier: Callable[[Settings], Courier], hasty: Settings) -> Courier:
    return new_courier(hasty)


@dataclass(frozen=True)
class Tenant:
    """A tenant's view of its webhooks."""

    http: flask.testing.FlaskClient

    def another(self) -> flask.testing.FlaskClient:
        """The same caller, for a thread of its own."""
        client = self.http.application.test_client()
        client.environ_base.update(self.http.environ_base)
        return client

    def endpoint(self, url: str, *events: str, **more: Any) -> dict[str, Any]:
        made = self.http.post("/api/v1/webhooks", json={"url": url, "events": events or ["job.completed"], **more})
        assert made.status_code == 201, made.text
        return dict(made.json)

    def job(self, **more: Any) -> str:
        made = self.http.post("/api/v1/jobs", json={"inputs": {"text": "Lovely"}, **more})
        assert made.status_code == 202, made.text
        return str(made.json["job_id"])

    def show(self, endpoint: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self.http.get(f"/api/v1/webhooks/{endpoint['id']}").json)

    def deliveries(self, **query: Any) -> list[dict[str, Any]]:
        """The log, oldest first, each with its attempts."""
        page = self.http.get("/api/v1/webhooks/deliveries", query_string={"limit": 100, **query})
        assert page.status_code == 200, page.text
        return [
            dict(self.http.get(f"/api/v1/webhooks/deliveries/{item['id']}").json)
            for item in reversed(page.json["deliveries"])
        ]


@pytest.fixture
def tenant(client: flask.testing.FlaskClient, no_webhooks: None) -> Tenant:
    return Tenant(client)


def owed(platform: Platform, tenant: Tenant, count: int) -> None:
    """So many jobs that have ended."""
    tenant.job()
    platform.execute(
        """INSERT INTO jobs (id, tenant_id, kind, pool, model, version, lane, expires_at, max_attempts, timeout_s,
                             inputs, options, metadata, request_id)
           SELECT gen_random_uuid(), tenant_id, kind, pool, model, version, lane, expires_at, max_attempts, timeout_s,
                  inputs, options, metadata, request_id FROM jobs, generate_series(2, :count)""",
        count=count,
    )
    platform.execute("UPDATE jobs SET status = 'canceled'")


def send_all(courier: Courier, platform: Platform) -> None:
    """Until every delivery has ended."""

    def done() -> bool:
        courier.drain()
        return platform.one("SELECT count(*) FROM webhook_deliveries WHERE finished_at IS NULL") == (0,)

    until(done)


@pytest.fixture
def deliver(courier: Courier, platform: Platform) -> Callable[[], None]:
    """Send until every delivery has ended."""
    return functools.partial(send_all, courier, platform)


@pytest.fixture
def strict(platform: Platform) -> Settings:
    """As in production: nothing is allowed but public https."""
    return changed(platform.settings, webhook_loopback=(), webhook_timeout_s=1.0)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Make a name lead where it is told, another place at each look-up; returns the names that were asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def install(*answers: list[str]) -> list[str]:
        coming = iter(answers)

        def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
            if host != "rebind.example" or kwargs.get("flags"):
                return real(host, port, *args, **kwargs)
            asked.append(host)
            return [item for address in next(coming, answers[-1]) for item in real(address, port, *args, **kwargs)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return install


@pytest.fixture
def listener() -> Iterator[tuple[int, list[str]]]:
    """A port of this machine, and who connected to it."""
    seen: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, peer = server.accept()
                except OSError:
                    return
                seen.append(str(peer))
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], seen
