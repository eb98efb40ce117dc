"""The header Idempotency-Key on requests that create (draft-ietf-httpapi-idempotency-key-header-07)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import flask

from api import context
from core import errors
from jobs import idempotency

#: A Structured-Field string (RFC 8941), or the bare characters that most clients send.
_FORM = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"|([!#-~](?:[ -~]*[!-~])?)')
MAX_LENGTH = 255


def key(route: str, asked: Mapping[str, Any]) -> idempotency.Key | None:
    """The caller's key for this route and this request; None if there is none. Raises InvalidInput, and Unauthorized of
    a stranger: another one's might be the same."""
    # A server that was sent two of them has joined them by a comma (RFC 3875 §4.1.18).
    given = flask.request.headers.get("Idempotency-Key")
    if given is None:
        return None
    match = _FORM.fullmatch(given)
    if match is None or len(given) > MAX_LENGTH:
        raise errors.InvalidInput.field(
            "Idempotency-Key", f"must be one value of 1 to {MAX_LENGTH} printable ASCII characters"
        )
    caller = context.caller()
    if caller.network is not None:
        raise errors.Unauthorized("An Idempotency-Key needs an API key")
    fingerprint = idempotency.fingerprint({**asked, "version": flask.request.headers.get("X-Model-Version")})
    return idempotency.Key(caller.tenant_id, route, match[1] or match[2], fingerprint)


def replayed(response: flask.Response) -> flask.Response:
    response.headers["Idempotent-Replayed"] = "true"
    return response
