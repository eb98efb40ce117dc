"""Idempotency-Key on requests that create: parsed here, kept by `jobs.idempotency`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import flask

from api import context
from api.resources import Resources
from core import errors
from jobs import idempotency

#: A Structured-Field string (RFC 8941), or the bare characters that most clients send.
_FORM = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"|([!#-~](?:[ -~]*[!-~])?)')
MAX_LENGTH = 255


def key(route: str, asked: Mapping[str, Any]) -> idempotency.Key | None:
    """The caller's key for this route and this request; None if there is none. Raises InvalidInput."""
    given = flask.request.headers.getlist("Idempotency-Key")
    if not given:
        return None
    match = _FORM.fullmatch(given[0])
    if len(given) > 1 or match is None or len(given[0]) > MAX_LENGTH:
        raise errors.InvalidInput.field(
            "Idempotency-Key", f"must be one value of 1 to {MAX_LENGTH} printable ASCII characters"
        )
    fingerprint = idempotency.fingerprint({**asked, "version": flask.request.headers.get("X-Model-Version")})
    return idempotency.Key(context.caller().tenant_id, route, match[1] or match[2], fingerprint)


def stored(response: flask.Response) -> dict[str, Any]:
    """A response as it is kept for the next time."""
    keep = ("X-Model-Version", "X-Model-Route", "Location", "Retry-After", "Preference-Applied")
    headers = {name: response.headers[name] for name in keep if name in response.headers}
    return {"status": response.status_code, "headers": headers, "body": response.get_json()}


def replay(reply: Mapping[str, Any]) -> flask.Response:
    """The stored answer again."""
    response = flask.jsonify(reply["body"])
    response.status_code = reply["status"]
    response.headers.update(reply["headers"])
    return replayed(response)


def answered(here: Resources, own: idempotency.Key | None) -> flask.Response | None:
    """The stored answer again, where there is one: it costs no room that a full backlog would not have. Raises
    IdempotencyMismatch."""
    found = idempotency.find(here.engine, own) if own else None
    return replay(found.reply) if found and found.reply else None


def replayed(response: flask.Response) -> flask.Response:
    response.headers["Idempotent-Replayed"] = "true"
    return response


def computed(here: Resources, own: idempotency.Key | None, make: Callable[[], flask.Response]) -> flask.Response:
    """What `make` answers, computed at most once per key; raises IdempotencyMismatch and IdempotencyInProgress."""
    if own is None:
        return make()
    with here.engine.begin() as connection:
        found = idempotency.claim(connection, own)
    if found is not None:
        if found.reply is None:
            raise errors.IdempotencyInProgress
        return replay(found.reply)
    try:
        response = make()
    except Exception:
        idempotency.forget(here.engine, own)
        raise
    idempotency.answer(here.engine, own, stored(response))
    return response
