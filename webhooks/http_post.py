"""One call to a receiver: to the address that was checked, with an end to its time and to what is read of it."""

from __future__ import annotations

import email.utils
import http.client
import math
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message

from core import dial, errors
from webhooks.receivers import Receivers
from webhooks.trouble import Trouble

#: So much of an answer is read, so that one that fits is taken to its end; and so much of it is kept for the log.
READ_BYTES = 64 * 1024
KEEP_CHARACTERS = 1000
HEADERS = {"User-Agent": "coatcheck-webhooks/1", "Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What came of a call: an HTTP status, or the code of what went wrong before there was one."""

    ms: int
    status: int | None = None
    error: Trouble | None = None
    response: str | None = None  #: how the answer begins; nothing of one that is not on the public internet
    retry_after_s: float | None = None

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Poster:
    """Calls receivers; may be shared by threads."""

    def __init__(self, receivers: Receivers, *, timeout_s: float) -> None:
        self._receivers = receivers
        self._timeout_s = timeout_s
        self._client = dial.Client()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """What the receiver says; whatever goes wrong is in the answer."""
        started = time.monotonic()
        deadline = dial.Deadline(self._timeout_s)
        try:
            place = self._receivers.place(self._receivers.parse(url), deadline.ends_at)
            with self._client.ask("POST", place, {**HEADERS, **headers}, deadline, body) as response:
                read = dial.beginning(response, READ_BYTES, deadline)
        except (errors.AddressRefused, errors.InvalidInput):
            return Answer(_ms(started), error=Trouble.ADDRESS_REFUSED)
        except dial.OUTAGES as error:
            return Answer(_ms(started), error=_code(error))
        shown = _shown(read) if place.public else None
        return Answer(_ms(started), response.status, response=shown, retry_after_s=_retry_after_s(response.headers))


def _shown(read: bytes) -> str:
    """As the log can keep it: Postgres has no place for a NUL in a text."""
    return read.decode("utf-8", "replace")[:KEEP_CHARACTERS].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _retry_after_s(headers: Message) -> float | None:
    """Seconds, or an HTTP date (RFC 9110 §10.2.3), by the clock of whoever wrote it; None for neither."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        said = headers.get("Date")
        sent_s = email.utils.parsedate_to_datetime(said).timestamp() if said else time.time()
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - sent_s)
    except (ValueError, TypeError, OverflowError):
        return None


def _code(error: Exception) -> Trouble:
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return Trouble.NAME_NOT_FOUND
    if isinstance(error, ssl.SSLError):
        return Trouble.TLS_ERROR
    if isinstance(error, TimeoutError):
        return Trouble.TIMED_OUT
    if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        return Trouble.BAD_ANSWER
    return Trouble.CONNECTION_FAILED


def _ms(started: float) -> int:
    return math.ceil((time.monotonic() - started) * 1000)
