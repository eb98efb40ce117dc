"""From error to HTTP: the one table of statuses, and all that is said of an error, which each version of the API shows
in its own way."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

import flask
import structlog
from werkzeug.exceptions import HTTPException

from api import editions
from core import database, errors

log = structlog.get_logger()

STATUS: dict[type[errors.CoatcheckError], int] = {
    errors.MalformedRequest: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.VersionRetired: 410,
    errors.JobStateConflict: 409,
    errors.TenantConflict: 409,
    errors.VersionConflict: 409,
    errors.WebhookConflict: 409,
    errors.KeyConflict: 409,
    errors.IdempotencyInProgress: 409,
    errors.BatchTooLarge: 413,
    errors.InvalidInput: 422,
    errors.ModelError: 422,
    errors.TimedOut: 422,
    errors.ToleranceNotMet: 422,
    errors.InputExpired: 422,
    errors.InputNotFound: 422,
    errors.InputForbidden: 422,
    errors.InputChanged: 422,
    errors.InputUnreadable: 422,
    errors.InputTooLarge: 422,
    errors.IdempotencyMismatch: 422,
    errors.BacklogFull: 429,
    errors.RateLimited: 429,
    errors.QuotaExceeded: 429,
    errors.RequestTooCostly: 413,
    errors.TooManyRequests: 429,
    errors.UploadQuota: 429,
    errors.ModelUnavailable: 503,
    errors.InputUnavailable: 503,
    errors.Unavailable: 503,
    errors.JobFailed: 500,
    errors.SecretLost: 500,
    errors.CoatcheckError: 500,
}
_ROOT = errors.CoatcheckError
#: What werkzeug raises, in our words; some of it the proxy says before us.
CODES = {
    400: "MALFORMED_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    414: "URI_TOO_LONG",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "REQUESTED_RANGE_NOT_SATISFIABLE",
}


#: What is said of it, where the one who refuses says nothing of their own; `version` is the one that answers.
SAID = {
    400: "The request cannot be read",
    404: "There is no such route: the contract, at /openapi/{version}.json, lists them all",
    405: "This route does not take this method; the header Allow says which it takes",
    406: "Nothing that is there is what Accept asks for",
    408: "The request did not arrive in time",
    414: "The address is too long",
    415: "The body is of a type that is not taken here",
    416: "There is no such range",
}


def register(app: flask.Flask) -> None:
    """Answer every error of every route as the version of the API does that it is of."""
    app.register_error_handler(errors.CoatcheckError, ours)
    app.register_error_handler(HTTPException, _http)
    for outage in database.OUTAGES:
        app.register_error_handler(outage, _outage)
    app.register_error_handler(Exception, _bug)


def status(error: errors.CoatcheckError) -> int:
    return STATUS[_entry(type(error))]


def _entry(kind: type[errors.CoatcheckError]) -> type[errors.CoatcheckError]:
    return next(cls for cls in kind.__mro__ if cls in STATUS)


def codes(of: int) -> list[str]:
    """The codes that come with a status, beginning with the most general one."""
    found = [kind.code for kind in errors.tree() if STATUS[entry := _entry(kind)] == of and entry is not _ROOT]
    own = [CODES[of]] if of in CODES else []
    return list(dict.fromkeys([*([_ROOT.code] if STATUS[_ROOT] == of else []), *found, *own]))


def whole(content: Mapping[str, Any], request_id: str | None) -> dict[str, Any]:
    """All that is said of an error."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**content, "request_id": request_id, "timestamp": now}


def _answer(content: dict[str, Any], code: int, headers: dict[str, str] | None = None) -> flask.Response:
    response = editions.here().refusal(whole(content, flask.g.get("request_id")), code)
    response.status_code = code
    response.headers.update(headers or {})
    return response


def ours(error: errors.CoatcheckError, **more: Any) -> flask.Response:
    """The answer to a failure, with what a version of the API says of it besides."""
    flask.g.error = error
    code = status(error)
    headers = dict(zip(("X-Model-Version", "X-Model-Route"), error.served or (), strict=False))
    if code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if code in (409, 429, 503) and error.retryable:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    # Of what is shed there may be thousands a second, and it is counted.
    if code >= 500 and not isinstance(error, errors.Busy):
        log.error("request_failed", code=error.code, error=str(error), request_id=flask.g.get("request_id"))
    return _answer({**errors.body(error), **more}, code, headers)


def _http(error: HTTPException) -> flask.Response:
    code = error.code or 500
    # Werkzeug's own words are for people who typed an address into a browser.
    ours = error.description if error.description != type(error).description else None
    message = _too_large() if code == 413 else ours or _said(error)
    content = {"code": CODES.get(code, error.name.upper().replace(" ", "_")), "message": message, "details": {}}
    keep = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return _answer(content, code, keep)


def _said(error: HTTPException) -> str:
    said = SAID.get(error.code or 500)
    return said.format(version=editions.here().name) if said else error.name


def _too_large() -> str:
    return f"The request body is larger than {flask.current_app.config['MAX_CONTENT_LENGTH']} bytes"


def _outage(error: Exception) -> flask.Response:
    log.error("database_outage", error=type(error).__name__, request_id=flask.g.get("request_id"))
    return ours(database.unavailable(error))


def _bug(error: Exception) -> flask.Response:
    log.error("bug", request_id=flask.g.get("request_id"), exc_info=error)
    return _answer({"code": "INTERNAL", "message": "Something went wrong on our side", "details": {}}, 500)
