"""Files in clients' own buckets, by signed URL: read, and written.

Only buckets that the operator allows, no more bytes than allowed, and an end to a transfer that is too slow. A signed
URL is a secret: it is in no message, and no error carries the one that was asked.
"""

from __future__ import annotations

import datetime as dt
import http.client
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from core import dial, errors, guard, urls
from core.guard import Guard, Reach
from core.outbound import Kind
from core.settings import Settings
from core.urls import Url
from storage.signed_url import FIELD, TARGET, Bucket, check_signature

CHUNK = 64 * 1024
JSONL = "application/x-ndjson"
#: Slower than this, after a start, is not a transfer.
SLOWEST_BYTES_PER_S = 16 * 1024
START_S = 20.0
#: What one piece may take; whether the job is still wanted is looked at between two.
PIECE_S = 10.0
PROBE_S = 5.0
_SIZE = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes 0-0/([0-9]{1,18})")
#: Kept with the job, and sent back to the store (RFC 9110 §8.8.3).
_ETAG = re.compile(r"[!-~]{1,256}")
#: The kinds of address at which a private bucket may be.
_LISTED = frozenset({Kind.PUBLIC, Kind.PRIVATE, Kind.LOOPBACK})


@dataclass(frozen=True)
class Found:
    """A file as its store describes it now; `etag` pins it, where there is one."""

    size: int
    etag: str | None


class Fetcher:
    """Reads what the settings allow."""

    def __init__(self, settings: Settings) -> None:
        self._max_bytes = settings.files.max_upload_bytes
        self._buckets = [
            *(Bucket.parse(item, private=False) for item in settings.files.input_buckets),
            *(Bucket.parse(item, private=True) for item in settings.files.input_private_buckets),
        ]
        self._stores = settings.stores
        self._guard = Guard(settings)
        self._client = dial.Client()

    def probe(self, url: str, now: dt.datetime) -> Found:
        """Look at the file, for PROBE_S at most; `now` decides whether its signature holds long enough.

        Raises InvalidInput for a URL that may not be asked, and all that asking can raise.
        """
        check_signature(urls.parse(url, FIELD), FIELD, now)
        with self._get(url, {"Range": "bytes=0-0"}, dial.Deadline(PROBE_S)) as response:
            found = Found(_whole_size(response), _etag(response))
        self._limit(found.size)
        return found

    def stream(self, url: str, etag: str | None) -> Iterator[bytes]:
        """The file in pieces, if it is still the one with this ETag; raises what asking can raise, InputTooLarge."""
        deadline, started, size = dial.Deadline(PIECE_S), time.monotonic(), 0
        with self._get(url, {"If-Match": etag} if etag else {}, deadline) as response:
            if etag and _etag(response) != etag:
                raise errors.InputChanged
            if response.status != http.HTTPStatus.OK:
                raise errors.InputUnreadable(f"{FIELD} answers with a part of the file, which was not asked for")
            declared = _size(response)
            _keep_pace(deadline, started, size)
            while piece := response.read1(CHUNK):
                size += len(piece)
                self._limit(size)
                yield piece
                _keep_pace(deadline, started, size)
            if declared is not None and size < declared:
                raise errors.InputUnavailable(f"The answer of {FIELD} ended early")

    def _limit(self, size: int) -> None:
        if size > self._max_bytes:
            issue = f"{FIELD} has more than {self._max_bytes} bytes"
            raise errors.InputTooLarge(issue, details={"field": FIELD, "limit": self._max_bytes})

    def check_target(self, url: str, now: dt.datetime) -> None:
        """Raises InvalidInput for a URL that may not be written to, or not for long enough from `now` on."""
        parsed = urls.parse(url, TARGET)
        self._reach(parsed, TARGET)
        check_signature(parsed, TARGET, now)

    def put(self, url: str, file: IO[bytes], size: int) -> None:
        """Send `size` bytes to a signed URL; raises OutputRefused, OutputUnavailable, InvalidInput, InputForbidden."""
        deadline = dial.Deadline(PIECE_S)
        headers = {"Content-Length": str(size), "Content-Type": JSONL}
        with self._ask("PUT", url, headers, TARGET, deadline, _steady(file, deadline)) as answer:
            if answer.status >= 500 or answer.status == 429:
                raise errors.OutputUnavailable(f"{TARGET} answers {answer.status}")
            if answer.status not in (200, 201, 204):
                raise errors.OutputRefused(f"{TARGET} answers {answer.status}")

    @contextmanager
    def _get(self, url: str, headers: dict[str, str], deadline: dial.Deadline) -> Iterator[http.client.HTTPResponse]:
        """A good answer; raises InvalidInput and every Input… error."""
        with self._ask("GET", url, headers, FIELD, deadline) as response:
            _judge(response, deadline)
            yield response

    @contextmanager
    def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        field: str,
        deadline: dial.Deadline,
        body: Iterator[bytes] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Whatever the answer is; raises InvalidInput, InputForbidden, and InputUnavailable or OutputUnavailable."""
        parsed = urls.parse(url, field)
        reach = self._reach(parsed, field)
        unavailable = errors.InputUnavailable if field == FIELD else errors.OutputUnavailable
        try:
            place = self._guard.place(parsed, reach, deadline.ends_at)
            with self._client.ask(method, place, {**headers, "User-Agent": "coatcheck"}, deadline, body) as response:
                yield response
        except errors.AddressRefused:
            issue = f"{field} is at an address that may not be asked"
            raise errors.InputForbidden(issue, details={"field": field}) from None
        except dial.OUTAGES as error:
            raise unavailable(f"{field} does not answer: {type(error).__name__}") from None

    def _reach(self, url: Url, field: str) -> Reach:
        """Of the bucket that the URL is in; raises InvalidInput."""
        for bucket in self._buckets:
            if bucket.holds(url):
                # A bucket for tenants may be in our own store, where the operator says so by the store's own name.
                own_store = (url.host, url.port) in self._stores
                return Reach(_LISTED, ours=own_store) if bucket.private else guard.AT_LARGE
        raise errors.InvalidInput.field(field, "is in no bucket that this platform may use")


def _keep_pace(deadline: dial.Deadline, started: float, size: int) -> None:
    """The next piece may take until the whole would be too slow, and not too long by itself either."""
    whole = started + max(START_S, size / SLOWEST_BYTES_PER_S)
    deadline.ends_at = min(whole, time.monotonic() + PIECE_S)


def _steady(file: IO[bytes], deadline: dial.Deadline) -> Iterator[bytes]:
    """The file in pieces, as long as they are taken at some speed."""
    started, size = time.monotonic(), 0
    while piece := file.read(CHUNK):
        _keep_pace(deadline, started, size)
        size += len(piece)
        yield piece
    deadline.ends_at = time.monotonic() + START_S


def _judge(response: http.client.HTTPResponse, deadline: dial.Deadline) -> None:
    """Raises what an answer that is not a file stands for."""
    status = response.status
    if status in (200, 206):
        return
    if status >= 500 or status == 429:
        raise errors.InputUnavailable(f"{FIELD} answers {status}")
    if status == 404:
        raise errors.InputNotFound
    if status == 412:
        raise errors.InputChanged
    if status == 416:
        raise errors.InputUnreadable("The file is empty")
    if 300 <= status < 400:
        raise errors.InputForbidden(f"{FIELD} answers with a redirect, which is not followed")
    # The answer itself is not repeated: it names keys and buckets.
    if _says_expired(dial.beginning(response, 4096, deadline)):
        raise errors.InputExpired
    raise errors.InputForbidden(f"{FIELD} answers {status}")


def _says_expired(body: bytes) -> bool:
    return any(word in body for word in (b"has expired", b"ExpiredToken", b"ExpiredRequest"))


def _whole_size(response: http.client.HTTPResponse) -> int:
    """Of the file of which the first byte was asked for; raises InputUnreadable."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        said = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        size = int(said[1]) if said else None
    else:
        size = _size(response)
    if size is None:
        raise errors.InputUnreadable(f"{FIELD} does not say how long the file is")
    return size


def _size(response: http.client.HTTPResponse) -> int | None:
    """Of the answer, where it says so; raises InputUnreadable for an answer that can be read in more than one way."""
    coding = response.headers.get("Transfer-Encoding")
    said = set(response.headers.get_all("Content-Length", ()))
    if len(said) > 1 or not all(map(_SIZE.fullmatch, said)) or (coding is not None and not response.chunked):
        raise errors.InputUnreadable(f"{FIELD} does not say clearly how long its answer is")
    return None if response.chunked or not said else int(said.pop())


def _etag(response: http.client.HTTPResponse) -> str | None:
    """Raises InputUnreadable for one that no store would give."""
    etag: str | None = response.headers.get("ETag")
    if etag is not None and not _ETAG.fullmatch(etag):
        raise errors.InputUnreadable(f"{FIELD} answers with an ETag that is none")
    return etag
