"""Objects in any S3."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import boto3
from botocore import exceptions
from botocore.config import Config

from core import errors
from core.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OUTAGES = (exceptions.BotoCoreError, exceptions.ClientError)


class Store:
    """One bucket. The client is made at first use, so that a spawned process never inherits one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: S3Client | None = None

    @property
    def client(self) -> S3Client:
        with self._lock:
            if self._client is None:
                self._client = boto3.client(
                    "s3",
                    endpoint_url=self._settings.s3_endpoint_url,
                    aws_access_key_id=self._settings.s3_access_key,
                    aws_secret_access_key=self._settings.s3_secret_key,
                    region_name=self._settings.s3_region,
                    config=Config(
                        signature_version="s3v4",
                        s3={"addressing_style": "path"},
                        connect_timeout=3,
                        read_timeout=20,
                        retries={"max_attempts": 3, "mode": "standard"},
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            return self._client

    def ensure_bucket(self) -> None:
        """Make the bucket if it is not there."""
        try:
            self.client.create_bucket(Bucket=self._settings.s3_bucket)
        except (self.client.exceptions.BucketAlreadyOwnedByYou, self.client.exceptions.BucketAlreadyExists):
            return

    def put(self, key: str, data: bytes) -> None:
        """Store `data`; raises Unavailable."""
        try:
            self.client.put_object(Bucket=self._settings.s3_bucket, Key=key, Body=data)
        except OUTAGES as error:
            raise errors.Unavailable(f"The object store did not take {key}: {_reason(error)}") from error

    def get(self, key: str) -> bytes:
        """Read a whole object; raises Unavailable."""
        try:
            return self.client.get_object(Bucket=self._settings.s3_bucket, Key=key)["Body"].read()
        except OUTAGES as error:
            raise errors.Unavailable(f"The object store did not give {key}: {_reason(error)}") from error

    def ping(self) -> bool:
        try:
            self.client.head_bucket(Bucket=self._settings.s3_bucket)
        except OUTAGES:
            return False
        return True


def _reason(error: Exception) -> str:
    """The store's own code, such as RequestTimeTooSkewed, or what kind of failure it was."""
    answered = error.response if isinstance(error, exceptions.ClientError) else {}
    return str(answered.get("Error", {}).get("Code", type(error).__name__))
