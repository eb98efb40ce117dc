"""The keys by which the issuer of tokens signs: found by OpenID Connect Discovery, kept, and asked for anew."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from time import monotonic
from typing import Any

import jwt
import structlog

from core import dial, errors, outbound, urls
from core.guard import Place

log = structlog.get_logger()

#: Those that a public key verifies. Each key is good for one of them alone, whatever a token says.
ALGORITHMS = ("RS256", "ES256", "EdDSA")
#: So long a list of keys is taken as it is; what is not in it, or could not be had, is looked for once in the other.
FRESH_S, AGAIN_S = 600.0, 60.0
#: What one look may take in all; how long others wait for it, and how many at a time do, who looks among them.
LOOK_S, WAIT_S, WAITING = 5.0, 1.0, 4
_MOST = 2**18  #: bytes of a document
_DISCOVERY = "/.well-known/openid-configuration"


class Issuer:
    """Its public keys by their ids. May be shared by threads: one of them asks, few wait for it, and whose key is known
    never does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._failed = False
        self._asked_at = -FRESH_S
        self._asking, self._waiting = threading.Lock(), threading.BoundedSemaphore(WAITING)

    def key(self, kid: str) -> jwt.PyJWK:
        """The key of this id; raises Unauthorized where there is none, Unavailable where the issuer does not say."""
        found = self._keys.get(kid)
        if found is not None:
            if self._is_due(known=True) and not self._asking.locked():
                with contextlib.suppress(RuntimeError):  # there may be no thread more: the next one asks
                    threading.Thread(target=self._look, args=(0.0,), name="issuer", daemon=True).start()
            return found
        if self._is_due(known=False) and self._waiting.acquire(blocking=False):
            try:
                self._look(WAIT_S)
            finally:
                self._waiting.release()
        if kid in self._keys:
            return self._keys[kid]
        if self._failed or self._asking.locked():
            raise errors.Unavailable("The issuer of tokens does not say by which keys it signs")
        raise errors.Unauthorized

    def _is_due(self, *, known: bool) -> bool:
        return monotonic() - self._asked_at >= (FRESH_S if known and not self._failed else AGAIN_S)

    def _look(self, wait_s: float) -> None:
        """Ask, unless somebody does or has just done so; what was known is kept where nothing can be learnt."""
        if not self._asking.acquire(timeout=wait_s):
            return
        try:
            if self._is_due(known=False):
                self._keys, self._failed = self._published(), False
        except (*dial.OUTAGES, ValueError, errors.InvalidInput, jwt.PyJWTError) as error:
            self._failed = True
            log.warning("issuer_does_not_answer", issuer=self._url, error=f"{type(error).__name__}: {error}"[:200])
        finally:
            self._asked_at = monotonic()
            self._asking.release()

    def _published(self) -> Mapping[str, jwt.PyJWK]:
        """Those that verify signatures; raises OSError, ValueError and their like."""
        deadline = dial.Deadline(LOOK_S)
        about = _document(self._url.rstrip("/") + _DISCOVERY, deadline)
        listed = about.get("jwks_uri")
        if about.get("issuer") != self._url or not isinstance(listed, str):
            raise ValueError("is another issuer's document, or names no keys")
        if self._url.startswith("https:") and not listed.startswith("https:"):
            raise ValueError("keys without TLS are anybody's")
        keys = jwt.PyJWKSet.from_dict(_document(listed, deadline)).keys
        return {
            key.key_id: key
            for key in keys
            if key.key_id and key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")
        }


def _document(url: str, deadline: dial.Deadline) -> dict[str, Any]:
    """A JSON object; raises OSError, ValueError and their like."""
    parsed = urls.parse(url, "issuer")
    place = Place(parsed, outbound.lookup(parsed.host, parsed.port, deadline.ends_at))
    with dial.Client().ask("GET", place, {"Accept": "application/json"}, deadline) as answer:
        if answer.status != HTTPStatus.OK:
            raise ValueError(f"answers {answer.status}")
        body = answer.read(_MOST + 1)
    found = json.loads(body) if len(body) <= _MOST else None
    if not isinstance(found, dict):
        raise ValueError(f"is no JSON object of at most {_MOST} bytes")  # noqa: TRY004 - it is what they sent
    return found
