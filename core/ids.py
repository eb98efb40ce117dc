"""Identifiers people see: a prefix that says what it is, and a time-ordered UUID."""

from __future__ import annotations

import datetime as dt
import os
import re
import secrets
import time
import uuid

from core import errors

JOB_PREFIX = "job_"
UPLOAD_PREFIX = "upl_"
ENDPOINT_PREFIX = "ep_"
DELIVERY_PREFIX = "msg_"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def uuid7(now_s: float | None = None) -> uuid.UUID:
    """A version 7 UUID (RFC 9562 §5.7): 48 bits of milliseconds, 74 of chance, so keys are born in order.

    Where the order counts, as that of jobs does, `now_s` is the database's time (core.clock).
    """
    milliseconds = time.time_ns() // 1_000_000 if now_s is None else int(now_s * 1000)
    chance = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | (chance >> 68) << 64 | 0b10 << 62 | chance & (2**62 - 1)
    return uuid.UUID(int=value)


def born(at: dt.datetime, later_s: float = 0.0) -> uuid.UUID:
    """What the ids of so long after a moment, as `uuid7` makes them, are not below, and those of all before are."""
    return uuid.UUID(int=min(max(0, int((at.timestamp() + later_s) * 1000)), 2**48 - 1) << 80)


def request_id(given: str) -> str:
    """A request's, as its client calls it where that can be told everywhere, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    return f"req_{secrets.token_hex(8)}"


def upload_id(value: uuid.UUID) -> str:
    return UPLOAD_PREFIX + value.hex


def parse_upload_id(text: str) -> uuid.UUID:
    """The UUID inside an upload id; raises UploadNotFound."""
    return _parse(text, UPLOAD_PREFIX, errors.UploadNotFound)


def endpoint_id(value: uuid.UUID) -> str:
    return ENDPOINT_PREFIX + value.hex


def parse_endpoint_id(text: str) -> uuid.UUID:
    """The UUID inside an endpoint's id; raises WebhookNotFound."""
    return _parse(text, ENDPOINT_PREFIX, errors.WebhookNotFound)


def delivery_id(value: uuid.UUID) -> str:
    """What receivers see as `webhook-id`."""
    return DELIVERY_PREFIX + value.hex


def parse_delivery_id(text: str) -> uuid.UUID:
    """The UUID inside a delivery's id; raises DeliveryNotFound."""
    return _parse(text, DELIVERY_PREFIX, errors.DeliveryNotFound)


def job_id(value: uuid.UUID) -> str:
    return JOB_PREFIX + value.hex


def parse_job_id(text: str) -> uuid.UUID:
    """The UUID inside a job id; raises JobNotFound, because an id that cannot exist is one that does not."""
    return _parse(text, JOB_PREFIX, errors.JobNotFound)


def _parse(text: str, prefix: str, missing: type[errors.NotFound]) -> uuid.UUID:
    hexes = text.removeprefix(prefix)
    if hexes == text or len(hexes) != 32 or set(hexes) - set("0123456789abcdef"):
        raise missing
    return uuid.UUID(hex=hexes)
