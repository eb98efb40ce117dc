"""Signed URLs of files in clients' own buckets: what they may look like, and which buckets hold them."""

from __future__ import annotations

import datetime as dt
import urllib.parse
from dataclasses import dataclass

from core import errors, hosts
from core.urls import Url

FIELD, TARGET = "input_url", "output_url"
#: A URL must be good for at least so long when it is handed in.
SPARE_S = 60
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
        port = parts.port or hosts.PORTS[parts.scheme]
        return cls(parts.scheme, str(parts.hostname), port, parts.path.removeprefix("/"), private)

    def holds(self, url: Url) -> bool:
        """By the bucket in the path, or in the host's name."""
        if (url.scheme, url.port) != (self.scheme, self.port):
            return False
        in_path = url.host == self.host and url.path.startswith(f"/{self.name}/") and len(url.path) > len(self.name) + 2
        # A number has no names below it: a store would take the first part of the path for the bucket.
        in_name = url.host == f"{self.name}.{self.host}" and len(url.path) > 1 and not hosts.is_number(self.host)
        return in_path or in_name


def check_signature(url: Url, field: str, now: dt.datetime) -> None:
    """Raises InvalidInput where there is none, InputExpired where that of the input does not hold long enough."""
    query = urllib.parse.parse_qs(url.query)
    one = {name: values[0] for name, values in query.items() if len(values) == 1}
    try:
        ends_at = _ends_at(one)
    except (KeyError, ValueError, OverflowError, OSError) as error:
        raise errors.InvalidInput.field(field, "must be signed, and say in its query until when") from error
    if ends_at < now + dt.timedelta(seconds=SPARE_S):
        issue = f"must be good for at least {SPARE_S} s more; it ends at {ends_at:%Y-%m-%dT%H:%M:%SZ}"
        if field == TARGET:
            raise errors.InvalidInput.field(field, issue)
        raise errors.InputExpired(f"{field} {issue}", details={"field": field})


def _ends_at(query: dict[str, str]) -> dt.datetime:
    """Until when a signed query holds; raises KeyError, ValueError, OverflowError, OSError where it is not one."""
    for prefix, algorithm in _SIGNATURES.items():
        if query.get(f"{prefix}-Algorithm") == algorithm and query[f"{prefix}-Signature"]:
            signed_at = dt.datetime.strptime(query[f"{prefix}-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
            return signed_at + dt.timedelta(seconds=int(query[f"{prefix}-Expires"]))
    if {"AWSAccessKeyId", "GoogleAccessId"} & query.keys() and query["Signature"]:
        return dt.datetime.fromtimestamp(int(query["Expires"]), dt.UTC)
    raise KeyError
