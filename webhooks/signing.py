"""Signatures of Standard Webhooks 1.0: `v1` is HMAC-SHA256 under `whsec_…`, `v1a` is ed25519 under `whsk_…`, checked
with `whpk_…`; what is signed is `{webhook-id}.{webhook-timestamp}.{body}`."""

from __future__ import annotations

import base64
import enum
import functools
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
SECRET_BYTES = 32


class Signing(enum.StrEnum):
    V1 = "v1"
    V1A = "v1a"


@dataclass(frozen=True)
class Key:
    """A key as it is kept; `public` is there for ed25519 alone."""

    secret: str
    public: str | None = None


def new_key(signing: Signing) -> Key:
    if signing is Signing.V1:
        return Key(SECRET + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())
    return key_of(PRIVATE + base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode())


def key_of(secret: str) -> Key:
    """The key that a secret belongs to."""
    if secret.startswith(SECRET):
        return Key(secret)
    return Key(secret, PUBLIC + base64.b64encode(_private(secret).public_key().public_bytes_raw()).decode())


def headers(message_id: str, timestamp: int, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """The three headers of one attempt: the same id every time, the attempt's own time in epoch seconds, and a
    signature by each key that is good at the moment."""
    text = f"{message_id}.{timestamp}.".encode() + body
    signatures = " ".join(_sign(key, text) for key in keys)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def _sign(key: str, text: bytes) -> str:
    if key.startswith(SECRET):
        digest = hmac.digest(base64.b64decode(key.removeprefix(SECRET)), text, hashlib.sha256)
        return f"{Signing.V1},{base64.b64encode(digest).decode()}"
    return f"{Signing.V1A},{base64.b64encode(_private(key).sign(text)).decode()}"


@functools.lru_cache(maxsize=1024)
def _private(key: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.removeprefix(PRIVATE)))
