"""Objects in any S3."""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import io
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import boto3
import boto3.exceptions
from boto3.s3.transfer import TransferConfig
from botocore import exceptions
from botocore.config import Config
from botocore.response import StreamingBody

from core import errors, hosts
from core.setting_groups import Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OUTAGES = (exceptions.BotoCoreError, exceptions.ClientError)
UPLOAD_OUTAGES = (*OUTAGES, boto3.exceptions.Boto3Error)
CHUNK = 256 * 1024
READS = 3
#: What is stored, again and again, to see whether anything can be: as large as the smallest piece of a disk.
PROBE, PROBE_BYTES = "probe", 4096
#: By so much a clock may be wrong before S3 refuses what it signs.
SKEW_S = 900
#: One part at a time, so that no more than one is in memory.
_IN_PARTS = TransferConfig(multipart_chunksize=16 << 20, use_threads=False)


@dataclass(frozen=True)
class Head:
    """An object as it is now; `etag` pins it."""

    size: int
    etag: str


class Store:
    """One bucket, which may be silent for `read_s`, `attempts` times. The clients are made at first use, so that a
    spawned process never inherits one."""

    def __init__(self, settings: Storage, *, read_s: float = 20, attempts: int = 4) -> None:
        self._settings = settings
        self._read_s, self._attempts = read_s, attempts
        self._bucket = settings.bucket
        self._lock = threading.Lock()
        self._clients: dict[str, S3Client] = {}

    @property
    def client(self) -> S3Client:
        return self._client(self._settings.endpoint_url)

    @property
    def _signer(self) -> S3Client:
        """Signs addresses as clients reach the store, which may not be how we do."""
        return self._client(self._settings.public_url or self._settings.endpoint_url)

    def ensure_bucket(self) -> None:
        """Make the bucket if it is not there; who may use it alone need not be allowed to make one."""
        try:
            self.client.head_bucket(Bucket=self._bucket)
        except exceptions.ClientError as error:
            if _status(error) == 403:
                return
            if _status(error) != 404:
                raise
            self._make_bucket()

    def _make_bucket(self) -> None:
        region = self._settings.region
        # Amazon's first one must not be named.
        where: Any = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with contextlib.suppress(
            self.client.exceptions.BucketAlreadyOwnedByYou, self.client.exceptions.BucketAlreadyExists
        ):
            self.client.create_bucket(Bucket=self._bucket, **where)

    def put(self, key: str, data: bytes) -> None:
        """Store `data`; raises Unavailable."""
        try:
            self.client.put_object(Bucket=self._bucket, Key=key, Body=data)
        except OUTAGES as error:
            raise _unavailable("did not take", key, error) from error

    def check_takes(self) -> None:
        """Store something small; raises Unavailable, as where the store has no room left."""
        try:
            self.client.put_object(Bucket=self._bucket, Key=PROBE, Body=bytes(PROBE_BYTES))
        except OUTAGES as error:
            raise _unavailable("takes no files now, perhaps its disk is full; tried", PROBE, error) from error

    def put_file(self, key: str, file: IO[bytes]) -> Head:
        """Store a file from where it stands, in parts; raises Unavailable."""
        file.flush()
        try:
            # boto3 closes what it is given.
            with os.fdopen(os.dup(file.fileno()), "rb") as same:
                self.client.upload_fileobj(same, self._bucket, key, Config=_IN_PARTS)
        except UPLOAD_OUTAGES as error:
            raise _unavailable("did not take", key, error) from error
        head = self.head(key)
        if head is None:
            raise errors.Unavailable(f"The object store does not have {key}, which it took just now")
        return head

    def get(self, key: str) -> bytes:
        """Read a whole object; raises Unavailable."""
        return self._whole(key)

    def get_file(self, key: str, file: IO[bytes]) -> None:
        """Write a whole object into a file, from where it stands; raises Unavailable."""
        self._into(file, key)

    def head(self, key: str) -> Head | None:
        """The object's size and ETag, or None if it is not there; raises Unavailable."""
        try:
            found = self.client.head_object(Bucket=self._bucket, Key=key)
        except exceptions.ClientError as error:
            if _status(error) == 404:
                return None
            raise _unavailable("did not say what it has of", key, error) from error
        except OUTAGES as error:
            raise _unavailable("did not say what it has of", key, error) from error
        return Head(found["ContentLength"], found["ETag"])

    def stream(self, key: str, etag: str) -> Iterator[bytes]:
        """The object in pieces, if it is still the one with this ETag; raises InputChanged, Unavailable."""
        yield from _read(key, self._opened(key, IfMatch=etag))

    def read_range(self, key: str, etag: str, start: int, end: int) -> bytes:
        """Bytes from `start` up to `end`, of the object with this ETag; raises InputChanged, Unavailable."""
        return self._whole(key, IfMatch=etag, Range=f"bytes={start}-{end - 1}")

    def delete_all(self, prefix: str) -> None:
        """Remove every object under a prefix; raises Unavailable."""
        try:
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                if found := [{"Key": item["Key"]} for item in page.get("Contents", ())]:
                    done = self.client.delete_objects(Bucket=self._bucket, Delete={"Objects": found, "Quiet": True})  # type: ignore[typeddict-item]
                    # It says 200 as well where it has kept some.
                    for kept in done.get("Errors", ()):
                        raise errors.Unavailable(f"The object store did not delete {kept['Key']}: {kept['Code']}")
        except OUTAGES as error:
            raise _unavailable("did not delete", prefix, error) from error

    def old(self, prefix: str, age_s: float) -> Iterator[str]:
        """What has lain under a prefix for so long, by this machine's clock, which is the store's but for SKEW_S;
        raises Unavailable."""
        before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
        try:
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                yield from (item["Key"] for item in page.get("Contents", ()) if item["LastModified"] < before)
        except OUTAGES as error:
            raise _unavailable("did not list", prefix, error) from error

    def presign_post(self, key: str, *, content_type: str, size: int, sha256: str | None, expires_s: int) -> Any:
        """Address and form fields for one upload of exactly `size` bytes (S3 POST policy)."""
        fields = {"Content-Type": content_type}
        if sha256 is not None:
            fields |= {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": sha256}
        conditions: list[Any] = [
            ["content-length-range", size, size],
            *({name: value} for name, value in fields.items()),
        ]
        return self._signer.generate_presigned_post(
            self._bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=expires_s
        )

    def presign_get(self, key: str, *, filename: str, expires_s: int, content_type: str | None = None) -> str:
        """An address that gives the object to whoever has it, for a while, as this type."""
        wanted = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{filename}"',
            **({} if content_type is None else {"ResponseContentType": content_type}),
        }
        return self._signer.generate_presigned_url("get_object", Params=wanted, ExpiresIn=expires_s)

    def ping(self) -> bool:
        try:
            self.client.head_bucket(Bucket=self._bucket)
        except OUTAGES:
            return False
        return True

    def _whole(self, key: str, **how: str) -> bytes:
        buffer = io.BytesIO()
        self._into(buffer, key, **how)
        return buffer.getvalue()

    def _into(self, file: IO[bytes], key: str, **how: str) -> None:
        """Once more if the answer breaks off: the client itself repeats only what was not answered at all."""
        start = file.tell()
        for left in reversed(range(READS)):
            body = self._opened(key, **how)
            file.seek(start)
            file.truncate()
            try:
                file.writelines(_read(key, body))
            except errors.Unavailable:
                if not left:
                    raise
            else:
                return

    def _opened(self, key: str, **how: str) -> StreamingBody:
        try:
            return self.client.get_object(Bucket=self._bucket, Key=key, **how)["Body"]  # type: ignore[arg-type]
        except exceptions.ClientError as error:
            if _status(error) in (404, 412) and "IfMatch" in how:
                raise errors.InputChanged from error
            raise _unavailable("did not give", key, error) from error
        except OUTAGES as error:
            raise _unavailable("did not give", key, error) from error

    def _client(self, endpoint: str) -> S3Client:
        with self._lock:
            if endpoint not in self._clients:
                self._clients[endpoint] = boto3.client(
                    "s3",
                    endpoint_url=endpoint,
                    aws_access_key_id=self._settings.access_key,
                    aws_secret_access_key=self._settings.secret_key,
                    region_name=self._settings.region,
                    config=Config(
                        signature_version="s3v4",
                        # Else those of HTTP_PROXY and its like.
                        proxies={} if hosts.on_this_machine(hosts.of_url(endpoint)[0]) else None,
                        s3={"addressing_style": "path"},
                        connect_timeout=min(3, self._read_s),
                        read_timeout=self._read_s,
                        retries={"total_max_attempts": self._attempts, "mode": "standard"},
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            return self._clients[endpoint]


def _read(key: str, body: StreamingBody) -> Iterator[bytes]:
    try:
        yield from body.iter_chunks(CHUNK)
    except OUTAGES as error:
        raise _unavailable("did not give", key, error) from error


def _unavailable(what: str, key: str, error: Exception) -> errors.Unavailable:
    """With the store's own code, such as RequestTimeTooSkewed, or what kind of failure it was."""
    answered: Any = error.response if isinstance(error, exceptions.ClientError) else {}
    reason = answered.get("Error", {}).get("Code", type(error).__name__)
    ahead_s = _ahead_s(answered.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"))
    if abs(ahead_s) > SKEW_S:
        reason = f"this machine's clock is wrong by {ahead_s:+.0f} s ({reason})"
    return errors.Unavailable(f"The object store {what} {key}: {reason}")


def _ahead_s(date: str | None) -> float:
    """How far this machine's clock is ahead of that of whoever wrote this HTTP date; 0 without one."""
    try:
        return time.time() - email.utils.parsedate_to_datetime(date).timestamp() if date else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _status(error: exceptions.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
