"""Around every request: its id, its caller, its metrics."""

from __future__ import annotations

import re
import secrets
import time

import flask
import structlog

from access.keys import Caller
from api import resources
from core import errors, metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def register(app: flask.Flask) -> None:
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    flask.g.started = time.perf_counter()
    given = flask.request.headers.get("X-Request-ID", "")
    flask.g.request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(8)}"
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=flask.g.request_id)


def _end(response: flask.Response) -> flask.Response:
    request = flask.request
    route = request.url_rule.rule if request.url_rule else "unmatched"
    metrics.REQUESTS.labels(route, request.method, str(response.status_code)).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(time.perf_counter() - flask.g.started)
    response.headers["X-Request-ID"] = flask.g.request_id
    return response


def authenticate() -> None:
    """Find out who asks, from `Authorization: Bearer` or `X-API-Key`; raises Unauthorized."""
    header = flask.request.headers.get("Authorization", "")
    token = header[7:].strip() if header[:7].lower() == "bearer " else flask.request.headers.get("X-API-Key")
    caller = resources.here().keyring.verify(token)
    caller.require("jobs")
    flask.g.caller = caller


def nothing_in_body() -> None:
    """For routes that take none; raises InvalidInput."""
    if flask.request.get_data() not in (b"", b"{}"):
        raise errors.InvalidInput.field("body", "must be empty")


def caller() -> Caller:
    found: Caller = flask.g.caller
    return found
