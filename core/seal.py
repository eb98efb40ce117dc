"""What may be in the database only so that nobody can read it there, nor use it in another place: sealed by
COATCHECK_SECRET_KEY.

A sealed value is `s1.<key id>.<nonce and ciphertext>`, the last part in base64url without padding (RFC 4648 §5). Its
key is made from the secret by HKDF-SHA256 (RFC 5869), one for each purpose; the context is associated data.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import os
import uuid
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core import errors
from core.setting_groups import Sealing

SCHEME = "s1"
KEY_BYTES, KEY_ID_BYTES, NONCE_BYTES = 32, 6, 12
#: How every Fernet token begins: its version, and the first bits of its time.
_FERNET = "gAAAAA"


class Purpose(enum.StrEnum):
    """What a value is for; each has a key of its own."""

    WEBHOOK_SECRET = "webhook-secret"  # noqa: S105 - a name
    INPUT_URL = "input-url"
    OUTPUT_URL = "output-url"


@dataclass(frozen=True)
class Context:
    """Where a sealed value belongs: it opens nowhere else."""

    purpose: Purpose
    tenant_id: uuid.UUID
    owner_id: uuid.UUID | None  #: the endpoint or the job; None for the key of a tenant's jobs


class Seal:
    """AES-256-GCM-SIV (RFC 8452): seals under the current key, opens under the old ones as well.

    Nonces are random, and any number of processes make them under the same key. Under AES-GCM one that comes twice
    gives the key of its authentication away, so that it may be used 2^32 times (NIST SP 800-38D §8.3), which nobody
    here could count. Under GCM-SIV it tells only whether the same text was sealed for the same place.
    """

    def __init__(self, sealing: Sealing) -> None:
        secrets = (sealing.secret_key, *sealing.old_secret_keys)
        self._current = key_id(sealing.secret_key)
        self._ciphers = {
            (key_id(secret), purpose): AESGCMSIV(derive(secret, purpose, KEY_BYTES))
            for secret in secrets
            for purpose in Purpose
        }
        # What was sealed before s1: bound to nothing, until `coatcheck reseal` has seen it.
        self._fernet = MultiFernet([_fernet(secret) for secret in secrets])

    def seal(self, secret: str, context: Context) -> str:
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._current, context.purpose]
        sealed = nonce + cipher.encrypt(nonce, secret.encode(), _associated(self._current, context))
        return f"{SCHEME}.{self._current}.{_encode(sealed)}"

    def open(self, sealed: str, context: Context) -> str:
        """Raises SecretLost when it was sealed under a key that is not here, or for another context, or was changed."""
        try:
            return self._open(sealed, context)
        except (InvalidTag, InvalidToken, ValueError, KeyError) as error:
            raise errors.SecretLost from error

    def renewed(self, sealed: str, context: Context) -> str:
        """The same value under the current key and scheme: the very text given if it is so already; raises
        SecretLost."""
        secret = self.open(sealed, context)
        return sealed if sealed.startswith(f"{SCHEME}.{self._current}.") else self.seal(secret, context)

    def _open(self, sealed: str, context: Context) -> str:
        if sealed.startswith(_FERNET):
            return self._fernet.decrypt(sealed.encode()).decode()
        scheme, key, text = sealed.split(".")
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        # One value has one text: base64 leaves bits over, and Python passes over what is no base64.
        if scheme != SCHEME or _encode(raw) != text:
            raise ValueError("not a sealed value")
        cipher = self._ciphers[key, context.purpose]
        return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _associated(key, context)).decode()


def key_id(secret: str) -> str:
    """What names a key in what it sealed, and does not give it away."""
    return derive(secret, "key-id", KEY_ID_BYTES).hex()


def derive(secret: str, purpose: str, length: int) -> bytes:
    """A key for one purpose alone, of so many bytes."""
    # No salt: the secret is not a password, and production refuses one that seems to be (RFC 5869 §3.1).
    return HKDF(SHA256(), length, salt=None, info=f"coatcheck/{SCHEME}/{purpose}".encode()).derive(secret.encode())


def _associated(key: str, context: Context) -> bytes:
    """All of it has one length or none, so that no two contexts give the same bytes."""
    return f"{SCHEME}.{key}.{context.purpose}.{context.tenant_id}.{context.owner_id or ''}".encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _fernet(secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()))
