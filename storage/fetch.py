"""Files in clients' own buckets, by signed URL: read, and written.

Only buckets that the operator allows, only the address that was checked, no redirect, no proxy, no more bytes than
allowed. A signed URL is a secret: it is in no message, and no error carries the one that was asked.
"""

from __future__ import annotations

import datetime as dt
import re
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import urllib3

from core import errors, outbound
from core.settings import Settings

CHUNK = 256 * 1024
FIELD, TARGET = "input_url", "output_url"
JSONL = "application/x-ndjson"
#: A URL must be good for at least so long when it is handed in.
SPARE_S = 60
#: Slower than this, after a start, is not a transfer.
SLOWEST_BYTES_PER_S = 16 * 1024
START_S = 20.0
PROBE_S = 5.0
PORTS = {"https": 443, "http": 80}
_PLAIN = re.compile(r"https?://[!$&'()*+,\-./0-9:;=?@A-Z_a-z~%\[\]]+")
_OUTAGES = (urllib3.exceptions.HTTPError, OSError)
#: AWS Signature Version 4 in a query, and Google's form of it; both also know the older Version 2.
_SIGNATURES = {"X-Amz": "AWS4-HMAC-SHA256", "X-Goog": "GOOG4-RSA-SHA256"}


@dataclass(frozen=True)
class Bucket:
    """An allowed bucket; only a `private` one may be at an address that is not public."""

    scheme: str
    host: str
    port: int
    name: str
    private: bool

    @classmethod
    def parse(cls, allowed: str, *, private: bool) -> Bucket:
        parts = urllib.parse.urlsplit(allowed)
        port = parts.port or PORTS[parts.scheme]
        return cls(parts.scheme, str(parts.hostname), port, parts.path.strip("/"), private)

    def holds(self, scheme: str, host: str, port: int, path: str) -> bool:
        """By the bucket in the path, or in the host's name."""
        if (scheme, port) != (self.scheme, self.port):
            return False
        in_path = host == self.host and path.startswith(f"/{self.name}/") and len(path) > len(self.name) + 2
        return in_path or (host == f"{self.name}.{self.host}" and len(path) > 1)


@dataclass(frozen=True)
class Found:
    """A file as its store describes it now; `etag` pins it, where there is one."""

    size: int
    etag: str | None


class Fetcher:
    """Reads what the settings allow."""

    def __init__(self, settings: Settings) -> None:
        self._max_bytes = settings.max_upload_bytes
        self._buckets = [
            *(Bucket.parse(item, private=False) for item in settings.input_buckets),
            *(Bucket.parse(item, private=True) for item in settings.input_private_buckets),
        ]

    def probe(self, url: str) -> Found:
        """Look at the file; raises InvalidInput for a URL that may not be asked, and all that asking can raise."""
        _check_signature(_parse(url, FIELD), FIELD)
        with self._get(url, {"Range": "bytes=0-0"}, within_s=PROBE_S) as response:
            total = response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers["Content-Length"]
            found = Found(int(total), response.headers.get("ETag"))
        self._limit(found.size)
        return found

    def stream(self, url: str, etag: str | None) -> Iterator[bytes]:
        """The file in pieces, if it is still the one with this ETag; raises what asking can raise, InputTooLarge."""
        started, size = time.monotonic(), 0
        with self._get(url, {"If-Match": etag} if etag else {}) as response:
            if etag and response.headers.get("ETag") != etag:
                raise errors.InputChanged
            while piece := response.read1(CHUNK):
                size += len(piece)
                self._limit(size)
                seconds = time.monotonic() - started
                if seconds > START_S and size / seconds < SLOWEST_BYTES_PER_S:
                    raise errors.InputUnavailable(f"{FIELD} gives fewer than {SLOWEST_BYTES_PER_S} bytes a second")
                yield piece
            if size < int(response.headers.get("Content-Length", size)):
                raise errors.InputUnavailable(f"The answer of {FIELD} ended early")

    def _limit(self, size: int) -> None:
        if size > self._max_bytes:
            issue = f"{FIELD} has more than {self._max_bytes} bytes"
            raise errors.InputTooLarge(issue, details={"field": FIELD, "limit": self._max_bytes})

    def check_target(self, url: str) -> None:
        """Raises InvalidInput for a URL that may not be written to."""
        parts = _parse(url, TARGET)
        self._allowed(parts, TARGET)
        _check_signature(parts, TARGET)

    def put(self, url: str, file: IO[bytes], size: int) -> None:
        """Send `size` bytes to a signed URL; raises OutputRefused, OutputUnavailable, InvalidInput, InputForbidden."""
        with self._ask(
            "PUT", url, {"Content-Length": str(size), "Content-Type": JSONL}, TARGET, _steady(file)
        ) as answer:
            if answer.status >= 500 or answer.status == 429:
                raise errors.OutputUnavailable(f"{TARGET} answers {answer.status}")
            if answer.status not in (200, 201, 204):
                raise errors.OutputRefused(f"{TARGET} answers {answer.status}")

    @contextmanager
    def _get(
        self, url: str, headers: dict[str, str], within_s: float | None = None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """A good answer; raises InvalidInput and every Input… error."""
        with self._ask("GET", url, headers, FIELD, within_s=within_s) as response:
            _judge(response)
            yield response

    @contextmanager
    def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        field: str,
        body: Iterator[bytes] | None = None,
        within_s: float | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Whatever the answer is; raises InvalidInput, InputForbidden, and InputUnavailable or OutputUnavailable."""
        parts = _parse(url, field)
        bucket = self._allowed(parts, field)
        unavailable = errors.InputUnavailable if field == FIELD else errors.OutputUnavailable
        try:
            with _pool(parts, _address(str(parts.hostname), bucket, field), within_s) as pool:
                asked = {**headers, "Host": parts.netloc, "Accept-Encoding": "identity", "User-Agent": "coatcheck"}
                target = urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
                # Not decoded: an object may be compressed, and is then stored with a Content-Encoding of its own.
                response = pool.request(
                    method,
                    target,
                    body=body,
                    headers=asked,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
                try:
                    yield response
                finally:
                    response.close()
        except _OUTAGES as error:
            # urllib3 quotes the URL.
            raise unavailable(f"{field} does not answer: {type(error).__name__}") from None

    def _allowed(self, parts: urllib.parse.SplitResult, field: str) -> Bucket:
        scheme, host = parts.scheme, str(parts.hostname)
        port = parts.port or PORTS[scheme]
        for bucket in self._buckets:
            if bucket.holds(scheme, host, port, parts.path):
                return bucket
        raise errors.InvalidInput.field(field, "is in no bucket that this platform may use")


def _parse(url: str, field: str) -> urllib.parse.SplitResult:
    """The URL, if there is only one way to read it; raises InvalidInput."""
    try:
        parts = urllib.parse.urlsplit(url)
        parts.port  # noqa: B018 - raises where it is not a number
    except ValueError as error:
        raise errors.InvalidInput.field(field, "is not a URL") from error
    if not _PLAIN.fullmatch(url) or not parts.hostname or parts.netloc != parts.netloc.lower():
        raise errors.InvalidInput.field(field, "must be a plain https URL, its host in lower case, with no fragment")
    if "@" in parts.netloc:
        raise errors.InvalidInput.field(field, "must have no user in it")
    if {".", ".."} & set(urllib.parse.unquote(parts.path).split("/")):
        raise errors.InvalidInput.field(field, "must have no . or .. in its path")
    return parts


def _check_signature(parts: urllib.parse.SplitResult, field: str) -> None:
    """Raises InvalidInput where there is none, InputExpired where that of the input does not hold long enough."""
    query = urllib.parse.parse_qs(parts.query)
    one = {name: values[0] for name, values in query.items() if len(values) == 1}
    try:
        ends_at = _ends_at(one)
    except (KeyError, ValueError, OverflowError) as error:
        raise errors.InvalidInput.field(field, "must be signed, and say in its query until when") from error
    if ends_at < dt.datetime.now(dt.UTC) + dt.timedelta(seconds=SPARE_S):
        issue = f"must be good for at least {SPARE_S} s more; it ends at {ends_at:%Y-%m-%dT%H:%M:%SZ}"
        if field == TARGET:
            raise errors.InvalidInput.field(field, issue)
        raise errors.InputExpired(f"{field} {issue}", details={"field": field})


def _ends_at(query: dict[str, str]) -> dt.datetime:
    """Until when a signed query holds; raises KeyError, ValueError, OverflowError where it is not one."""
    for prefix, algorithm in _SIGNATURES.items():
        if query.get(f"{prefix}-Algorithm") == algorithm and query[f"{prefix}-Signature"]:
            signed_at = dt.datetime.strptime(query[f"{prefix}-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
            return signed_at + dt.timedelta(seconds=int(query[f"{prefix}-Expires"]))
    if {"AWSAccessKeyId", "GoogleAccessId"} & query.keys() and query["Signature"]:
        return dt.datetime.fromtimestamp(int(query["Expires"]), dt.UTC)
    raise KeyError


def _address(host: str, bucket: Bucket, field: str) -> str:
    """Where to connect: what was checked is what is used. Raises InputForbidden, and OSError without an answer."""
    found = outbound.lookup(host, bucket.port)
    if not bucket.private and not all(outbound.is_public(address) for address in found):
        raise errors.InputForbidden(f"{field} is at an address that is not public", details={"field": field})
    return found[0]


@contextmanager
def _pool(
    parts: urllib.parse.SplitResult, address: str, within_s: float | None
) -> Iterator[urllib3.HTTPConnectionPool]:
    """Connections to one address, under the name that was asked for."""
    host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
    timeout = urllib3.Timeout(connect=3, read=10, total=within_s)
    if parts.scheme == "https":
        pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
            address, port, timeout=timeout, retries=False, server_hostname=host, assert_hostname=host
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, port, timeout=timeout, retries=False)
    try:
        yield pool
    finally:
        pool.close()


def _steady(file: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces, as long as they are taken at some speed."""
    started, size = time.monotonic(), 0
    while piece := file.read(CHUNK):
        seconds = time.monotonic() - started
        if seconds > START_S and size / seconds < SLOWEST_BYTES_PER_S:
            raise errors.OutputUnavailable(f"{TARGET} takes fewer than {SLOWEST_BYTES_PER_S} bytes a second")
        size += len(piece)
        yield piece


def _judge(response: urllib3.BaseHTTPResponse) -> None:
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
    if _says_expired(response.read(4096, decode_content=False)):
        raise errors.InputExpired
    raise errors.InputForbidden(f"{FIELD} answers {status}")


def _says_expired(body: bytes) -> bool:
    return any(word in body for word in (b"has expired", b"ExpiredToken", b"ExpiredRequest"))
