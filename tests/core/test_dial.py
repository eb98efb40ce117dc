"""One call: every wait of it ends at one moment, in clear and in TLS, whatever the other side does, however often."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import dial, urls
from core.guard import Place
from local import certificates
from local.certificates import Certificate

#: How long a call may take here, and by when it has ended on any machine.
CALL_S, END_S = 1.0, 60.0

Behave = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificates.ensure(tmp_path_factory.mktemp("dial") / "certificates")


def drip_of_a_status(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"x")
        time.sleep(0.05)


def drip_of_headers(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        peer.sendall(b"a: b\r\n")
        time.sleep(0.05)


def drip_of_a_body(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        peer.sendall(b"x")
        time.sleep(0.05)


def silence(peer: socket.socket) -> None:
    peer.recv(1 << 20)
    time.sleep(END_S)


def reads_little(peer: socket.socket) -> None:
    """A byte now and then of a body of megabytes."""
    while peer.recv(1):
        time.sleep(0.05)


def serving(server: socket.socket, context: ssl.SSLContext | None, behave: Behave) -> None:
    with contextlib.suppress(OSError):
        peer, _ = server.accept()
        with contextlib.closing(context.wrap_socket(peer, server_side=True) if context else peer) as wrapped:
            behave(wrapped)


@pytest.fixture(params=["http", "https"])
def opened(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[Callable[[Behave], tuple[str, int]]]:
    """A server that behaves once; its scheme and port."""
    context = None
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def start(behave: Behave) -> tuple[str, int]:
            threading.Thread(target=serving, args=(server, context, behave), daemon=True).start()
            return str(request.param), int(server.getsockname()[1])

        yield start


def call(client: dial.Client, scheme: str, port: int, body: bytes) -> bytes:
    place = Place(urls.parse(f"{scheme}://localhost:{port}/", "url"), ["127.0.0.1"])
    with client.ask("POST", place, {}, dial.Deadline(CALL_S), body) as response:
        return response.read()


@pytest.mark.parametrize(
    "behave", [drip_of_a_status, drip_of_headers, drip_of_a_body, silence, reads_little], ids=lambda item: item.__name__
)
def test_a_call_ends_in_time_however_little_arrives_however_often(
    opened: Callable[[Behave], tuple[str, int]], certificate: Certificate, behave: Behave
) -> None:
    scheme, port = opened(behave)
    client = dial.Client()
    client._tls.load_verify_locations(Path(certificate.authority))
    body = b"x" * (64 << 20) if behave is reads_little else b"{}"
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        call(client, scheme, port, body)
    assert time.monotonic() - started < END_S


def says_no_and_hangs_up(peer: socket.socket) -> None:
    """What it was still being sent is thrown away, and with it the connection."""
    peer.recv(1)
    peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nShort")
    peer.shutdown(socket.SHUT_WR)
    time.sleep(0.2)


def test_an_answer_that_comes_before_all_was_taken_counts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serving, args=(server, None, says_no_and_hangs_up), daemon=True).start()
        place = Place(urls.parse(f"http://localhost:{server.getsockname()[1]}/", "url"), ["127.0.0.1"])
        with dial.Client().ask("POST", place, {}, dial.Deadline(END_S), b"x" * (64 << 20)) as response:
            assert (response.status, response.read()) == (413, b"Short")


def test_the_next_address_is_tried_where_one_takes_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serving, args=(server, None, says_no_and_hangs_up), daemon=True).start()
        place = Place(urls.parse(f"http://localhost:{server.getsockname()[1]}/", "url"), ["127.0.0.2", "127.0.0.1"])
        with dial.Client().ask("POST", place, {}, dial.Deadline(END_S), b"x") as response:
            assert response.status == 413


def test_an_address_of_the_newer_kind_is_called_too() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        threading.Thread(target=serving, args=(server, None, says_no_and_hangs_up), daemon=True).start()
        place = Place(urls.parse(f"http://localhost:{server.getsockname()[1]}/", "url"), ["::1"])
        with dial.Client().ask("POST", place, {}, dial.Deadline(END_S), b"x") as response:
            assert response.status == 413


def speaks_another_protocol(peer: socket.socket) -> None:
    """From here on, and nobody had asked for it."""
    peer.recv(1 << 20)
    peer.sendall(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
    peer.recv(1)


def test_that_the_other_side_changes_the_protocol_is_an_answer_and_nothing_is_waited_for_after_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serving, args=(server, None, speaks_another_protocol), daemon=True).start()
        place = Place(urls.parse(f"http://localhost:{server.getsockname()[1]}/", "url"), ["127.0.0.1"])
        with dial.Client().ask("POST", place, {}, dial.Deadline(END_S), b"x") as response:
            assert (response.status, response.headers["Upgrade"]) == (101, "x")
