"""HTTP to a stranger: to the address that was checked, with no redirect and no proxy, and with an end to its time."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from core.guard import Place

CONNECT_S = 5.0
#: So long the rest of an answer is listened to, once its status has said it all.
REST_S = 1.0
#: What opening, asking and reading can raise.
OUTAGES = (OSError, http.client.HTTPException, UnicodeError)


class Deadline:
    """The moment at which every wait of one call ends, however little arrives however often; it can be moved.

    `settimeout` alone, and urllib3's time-outs, count each wait anew.
    """

    def __init__(self, seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds

    def left_s(self) -> float:
        """Raises TimeoutError when nothing is left."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call took too long")
        return left

    def shorten(self, seconds: float) -> None:
        """To so long from now, if it is not sooner already."""
        self.ends_at = min(self.ends_at, time.monotonic() + seconds)


class Client:
    """Asks one question by a connection of its own; may be shared by threads."""

    def __init__(self) -> None:
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _Secure

    @contextlib.contextmanager
    def ask(
        self,
        method: str,
        place: Place,
        headers: Mapping[str, str],
        deadline: Deadline,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Whatever the answer is, a redirect too, as it is sent; raises OUTAGES."""
        ours = {"Host": place.url.netloc, "Accept-Encoding": "identity", "Connection": "close"}
        with self._connected(place, deadline) as connection:
            # Who has heard enough hangs up, and may have said why before.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, place.url.target, body, {**headers, **ours})
            with connection.getresponse() as response:
                yield response

    @contextlib.contextmanager
    def _connected(self, place: Place, deadline: Deadline) -> Iterator[http.client.HTTPConnection]:
        """A connection to the first address that takes it, under the host's name; raises OSError."""
        url = place.url
        sock: _Plain | _Secure = _connect(place, deadline)
        try:
            if url.scheme == "https":
                sock = cast(_Secure, self._tls.wrap_socket(sock, server_hostname=url.host))
                sock.deadline = deadline
            connection = http.client.HTTPConnection(url.host, url.port)
            connection.response_class = _Response
            connection.auto_open = 0
            connection.sock = sock
            yield connection
        finally:
            sock.close()


def beginning(response: http.client.HTTPResponse, most: int, deadline: Deadline) -> bytes:
    """Up to so many bytes of an answer whose status has said it: whoever goes on with 100 MB, or with a byte a minute,
    is not listened to for long."""
    deadline.shorten(REST_S)
    with contextlib.suppress(*OUTAGES):
        return response.read(most)
    return b""


def _connect(place: Place, deadline: Deadline) -> _Plain:
    """Raises OSError of the last address when none takes the connection."""
    failed: OSError = TimeoutError("no address was tried")
    for address in place.addresses:
        sock = _Plain(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.deadline = deadline
        try:
            sock.settimeout(min(CONNECT_S, deadline.left_s()))
            sock.connect((address, place.url.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(deadline.left_s())
        except OSError as error:
            sock.close()
            failed = error
            continue
        return sock
    raise failed


class _Response(http.client.HTTPResponse):
    """The final one: what is only informational (RFC 9110 §15.2) is read and passed over."""

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = None  # type: ignore[assignment]
            super().begin()


class _Timed:
    """A socket all of whose waits end at the deadline."""

    deadline: Deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.left_s())  # type: ignore[attr-defined]
        return int(super().recv_into(*args, **kwargs))  # type: ignore[misc]

    def send(self, *args: Any, **kwargs: Any) -> int:
        # What TLS sends is sent in parts, each of them by this.
        self.settimeout(self.deadline.left_s())  # type: ignore[attr-defined]
        return int(super().send(*args, **kwargs))  # type: ignore[misc]

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.deadline.left_s())  # type: ignore[attr-defined]
        super().sendall(*args, **kwargs)  # type: ignore[misc]


class _Plain(_Timed, socket.socket):
    pass


class _Secure(_Timed, ssl.SSLSocket):
    pass
