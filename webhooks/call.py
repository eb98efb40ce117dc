"""One call to a receiver: to the address that was checked, with no redirect and no proxy, and with an end to its time
and to what is read of its answer."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import math
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from core import errors
from webhooks.receivers import Receiver, Receivers

#: So much of an answer is read, so that one that fits is taken to its end; and so much of it is kept for the log.
READ_BYTES = 64 * 1024
KEEP_CHARACTERS = 1000
CONNECT_S = 5.0
READ_S = 1.0


@dataclass(frozen=True)
class Answer:
    """What came of a call: an HTTP status, or the code of what went wrong before there was one."""

    ms: int
    status: int | None = None
    error: str | None = None
    response: str | None = None  #: how the answer begins
    retry_after_s: float | None = None

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Caller:
    """Calls receivers; may be shared by threads."""

    def __init__(self, receivers: Receivers, *, timeout_s: float) -> None:
        self._receivers = receivers
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _Secure

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """What the receiver says; whatever goes wrong is in the answer."""
        started = time.monotonic()
        try:
            receiver = self._receivers.parse(url)
            addresses = self._receivers.addresses(receiver)
            with self._connected(receiver, addresses, started + self._timeout_s) as sock:
                status, response, retry_after_s = _exchange(sock, receiver, body, headers)
        except (errors.AddressRefused, errors.InvalidInput):
            return Answer(_ms(started), error=errors.AddressRefused.code)
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            return Answer(_ms(started), error=_code(error))
        return Answer(_ms(started), status, response=response, retry_after_s=retry_after_s)

    @contextlib.contextmanager
    def _connected(self, receiver: Receiver, addresses: list[str], ends_at: float) -> Iterator[_Plain | _Secure]:
        """A socket to the first address that takes it; nothing waits on it beyond `ends_at` (monotonic)."""
        sock: _Plain | _Secure = _connect(addresses, receiver.port, ends_at)
        try:
            if receiver.scheme == "https":
                sock = cast(_Secure, self._tls.wrap_socket(sock, server_hostname=receiver.host))
                sock.ends_at = ends_at
            yield sock
        finally:
            sock.close()


def _connect(addresses: list[str], port: int, ends_at: float) -> _Plain:
    """Raises OSError of the last address when none takes the connection."""
    failed: OSError = TimeoutError("no address was tried")
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = _Plain(family, socket.SOCK_STREAM)
        sock.ends_at = ends_at
        try:
            sock.settimeout(min(CONNECT_S, sock.left_s()))
            sock.connect((address, port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(sock.left_s())
        except OSError as error:
            sock.close()
            failed = error
            continue
        return sock
    raise failed


def _exchange(
    sock: _Plain | _Secure, receiver: Receiver, body: bytes, headers: Mapping[str, str]
) -> tuple[int, str, float | None]:
    """Status, beginning of the answer, and how long the receiver wants to be left alone."""
    connection = http.client.HTTPConnection(receiver.host, receiver.port)
    connection.response_class = _Response
    connection.sock = sock
    ours = {
        "Host": receiver.netloc,
        "User-Agent": "coatcheck-webhooks/1",
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    connection.request("POST", receiver.target, body, {**ours, **headers})
    response = connection.getresponse()
    # The status has said it; whoever goes on with 100 MB, or with a byte a minute, is not listened to for long.
    sock.ends_at = min(sock.ends_at, time.monotonic() + READ_S)
    read = b""
    with contextlib.suppress(OSError, http.client.HTTPException):
        read = response.read(READ_BYTES)
    kept = read.decode("utf-8", "replace")[:KEEP_CHARACTERS].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return response.status, kept, _retry_after_s(response.headers.get("Retry-After"))


def _retry_after_s(value: str | None) -> float | None:
    """Seconds, or an HTTP date (RFC 9110 §10.2.3); None for neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _code(error: Exception) -> str:
    """What went wrong, in a word that stays the same."""
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "NAME_NOT_FOUND"
    if isinstance(error, ssl.SSLError):
        return "TLS_ERROR"
    if isinstance(error, TimeoutError):
        return "TIMED_OUT"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        return "BAD_ANSWER"
    return "CONNECTION_FAILED"


def _ms(started: float) -> int:
    return math.ceil((time.monotonic() - started) * 1000)


class _Response(http.client.HTTPResponse):
    """The final one: what is only informational (RFC 9110 §15.2) is read and passed over."""

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = None  # type: ignore[assignment]
            super().begin()


class _Timed:
    """A socket that gives up at a moment, however little arrives however often: `settimeout` alone counts each wait
    anew."""

    ends_at = math.inf  #: monotonic

    def left_s(self) -> float:
        """Raises TimeoutError when nothing is left."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call took too long")
        return left

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.left_s())  # type: ignore[attr-defined]
        return int(super().recv_into(*args, **kwargs))  # type: ignore[misc]

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.left_s())  # type: ignore[attr-defined]
        super().sendall(*args, **kwargs)  # type: ignore[misc]


class _Plain(_Timed, socket.socket):
    pass


class _Secure(_Timed, ssl.SSLSocket):
    pass
