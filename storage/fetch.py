"""Files in clients' own buckets, by signed URL.

Only buckets that the operator allows, only the address that was checked, no redirect, no proxy, no more bytes than
allowed. A signed URL is a secret: it is in no message, and no error carries the one that was asked.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import socket
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3

from core import errors
from core.settings import Settings

CHUNK = 256 * 1024
FIELD = "input_url"
#: A URL must be good for at least so long when it is handed in.
SPARE_S = 60
#: Slower than this, after a start, is not a transfer.
SLOWEST_BYTES_PER_S = 16 * 1024
START_S = 20.0
PROBE_S = 5.0
PORTS = {"https": 443, "http": 80}
_PLAIN = re.compile(r"https?://[!$&'()*+,\-./0-9:;=?@A-Z_a-z~%\[\]]+")
_OUTAGES = (urllib3.exceptions.HTTPError, OSError)
#: AWS Signature Version 4 in a query, and Google's form of it.
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
        _check_signature(url)
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

    @contextmanager
    def _get(
        self, url: str, headers: dict[str, str], within_s: float | None = None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """A good answer; raises InvalidInput and every Input… error."""
        parts = _parse(url)
        bucket = self._allowed(parts)
        try:
            with _pool(parts, _address(str(parts.hostname), bucket), within_s) as pool:
                asked = {**headers, "Host": parts.netloc, "Accept-Encoding": "identity", "User-Agent": "coatcheck"}
                target = urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
                response = pool.request("GET", target, headers=asked, redirect=False, preload_content=False)
                try:
                    _judge(response)
                    yield response
                finally:
                    response.close()
        except _OUTAGES as error:
            # urllib3 quotes the URL.
            raise errors.InputUnavailable(f"{FIELD} does not answer: {type(error).__name__}") from None

    def _allowed(self, parts: urllib.parse.SplitResult) -> Bucket:
        scheme, host = parts.scheme, str(parts.hostname)
        port = parts.port or PORTS[scheme]
        for bucket in self._buckets:
            if bucket.holds(scheme, host, port, parts.path):
                return bucket
        raise errors.InvalidInput.field(FIELD, "is in no bucket that this platform may read")


def _parse(url: str) -> urllib.parse.SplitResult:
    """The URL, if there is only one way to read it; raises InvalidInput."""
    try:
        parts = urllib.parse.urlsplit(url)
        parts.port  # noqa: B018 - raises where it is not a number
    except ValueError as error:
        raise errors.InvalidInput.field(FIELD, "is not a URL") from error
    if not _PLAIN.fullmatch(url) or not parts.hostname or parts.netloc != parts.netloc.lower():
        raise errors.InvalidInput.field(FIELD, "must be a plain https URL, its host in lower case, with no fragment")
    if "@" in parts.netloc:
        raise errors.InvalidInput.field(FIELD, "must have no user in it")
    if {".", ".."} & set(urllib.parse.unquote(parts.path).split("/")):
        raise errors.InvalidInput.field(FIELD, "must have no . or .. in its path")
    return parts


def _check_signature(url: str) -> None:
    """Raises InvalidInput where there is none, InputExpired where it does not hold long enough."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    one = {name: values[0] for name, values in query.items() if len(values) == 1}
    for prefix, algorithm in _SIGNATURES.items():
        if one.get(f"{prefix}-Algorithm") == algorithm and f"{prefix}-Signature" in one:
            try:
                signed_at = dt.datetime.strptime(one[f"{prefix}-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
                ends_at = signed_at + dt.timedelta(seconds=int(one[f"{prefix}-Expires"]))
            except (KeyError, ValueError, OverflowError) as error:
                raise errors.InvalidInput.field(FIELD, f"must say {prefix}-Date and {prefix}-Expires") from error
            if ends_at < dt.datetime.now(dt.UTC) + dt.timedelta(seconds=SPARE_S):
                issue = f"{FIELD} must be good for at least {SPARE_S} s more; it ends at {ends_at:%Y-%m-%dT%H:%M:%SZ}"
                raise errors.InputExpired(issue, details={"field": FIELD})
            return
    raise errors.InvalidInput.field(FIELD, "must be signed (Signature Version 4, in its query)")


def _address(host: str, bucket: Bucket) -> str:
    """Where to connect: what was checked is what is used. Raises InputForbidden, and OSError without an answer."""
    found = {str(item[4][0]) for item in socket.getaddrinfo(host, bucket.port, type=socket.SOCK_STREAM)}
    if not bucket.private and not all(_public(address) for address in found):
        raise errors.InputForbidden(f"{FIELD} is at an address that is not public", details={"field": FIELD})
    return min(found)


def _public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    nat64 = parsed in ipaddress.ip_network("64:ff9b::/96") if parsed.version == 6 else False
    return parsed.is_global and not parsed.is_multicast and not nat64 and (inner is None or _public(str(inner)))


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
