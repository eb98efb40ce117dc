"""Stores that misbehave, and addresses that are not a store's."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from core import errors
from storage import fetch
from storage.fetch import Fetcher
from tests.changed import changed
from tests.conftest import Platform


class Store(http.server.BaseHTTPRequestHandler):
    """A store that behaves as its path says."""

    def do_GET(self) -> None:
        what = self.path.split("/")[2].partition("?")[0]
        getattr(self, what)()

    def redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def broken(self) -> None:
        self.send_error(503)

    def expired(self) -> None:
        body = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def more(self) -> None:
        """More bytes than were declared to the probe."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(100):
                self.wfile.write(b"x" * 10_000)

    def short(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 10)

    def drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.done.wait(0.05):  # type: ignore[attr-defined]
                self.wfile.write(b"x")
                self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def odd(platform: Platform) -> Iterator[tuple[Fetcher, str]]:
    """A fetcher that may read an odd store, and the store's address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
    server.done = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/odd"
    yield Fetcher(changed(platform.settings, input_private_buckets=(address,), max_upload_bytes=100_000)), address
    server.done.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("redirect", errors.InputForbidden),
        ("broken", errors.InputUnavailable),
        ("expired", errors.InputExpired),
        ("more", errors.InputTooLarge),
        ("short", errors.InputUnavailable),
        ("drip", errors.InputUnavailable),
    ],
)
def test_a_store_that_misbehaves_has_its_own_error(
    odd: tuple[Fetcher, str], what: str, error: type[errors.CoatcheckError], monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "drip":
        monkeypatch.setattr(fetch, "START_S", 0.3)
    fetcher, address = odd
    with pytest.raises(error):
        list(fetcher.stream(f"{address}/{what}?X-Amz-Signature=1", None))


def test_a_name_that_turns_to_a_private_address_is_not_connected_to(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a DNS answer that flips after submit: the address that is checked is the one that is used."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (address, port)) for address in ("8.8.8.8", "127.0.0.1")]
    )
    fetcher = Fetcher(changed(platform.settings, input_buckets=(f"https://store.example:{port}/odd",)))
    with pytest.raises(errors.InputForbidden):
        list(fetcher.stream(f"https://store.example:{port}/odd/x?X-Amz-Signature=1", None))
    listener.settimeout(0.2)
    with pytest.raises(TimeoutError):
        listener.accept()
    listener.close()
