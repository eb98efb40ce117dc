"""The header Idempotency-Key on requests that create (draft-ietf-httpapi-idempotency-key-header-07)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask

from api import context
from jobs import idempotency
from serving import once


def key(route: str, asked: Mapping[str, Any]) -> idempotency.Key | None:
    """The caller's key for this route and this request; None if there is none. Raises InvalidInput, Unauthorized."""
    # A server that was sent two of them has joined them by a comma (RFC 3875 §4.1.18).
    given, version = (flask.request.headers.get(name) for name in ("Idempotency-Key", "X-Model-Version"))
    # The header goes before nothing that is asked by this name, as a version in the address or of what is published.
    return once.key(context.caller(), route, given, {"version": version, **asked})


def replayed(response: flask.Response) -> flask.Response:
    response.headers["Idempotent-Replayed"] = "true"
    return response
