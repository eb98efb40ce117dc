"""Around every request: its id, its caller, its metrics, and the headers of its answer."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import flask
import structlog
from flask.globals import app_ctx, request_ctx
from prometheus_client import Counter, Histogram

from access import limits
from access.gate import Gate
from access.keys import Caller
from api.held_back import HeldBack
from api.resources import Resources
from core import errors, ids, metrics
from core.audit import Actor
from core.http import SAFE_HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Where a request's environment says whose limits its answer tells of.
CALLER = "coatcheck.caller"
#: Whatever else a client calls its method is counted as one, or strangers decide how many counters there are.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PAIRS = list(SAFE_HEADERS.items())


def register(app: flask.Flask) -> None:
    here: Resources = app.extensions["coatcheck"]
    app.wsgi_app = HeldBack(  # type: ignore[method-assign]
        _WithHeaders(app.wsgi_app, lambda: here.gate), here.settings.http.trusted_proxies
    )
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    request, g = itself()
    g.started = time.perf_counter()
    g.request_id = ids.request_id(request.environ.get("HTTP_X_REQUEST_ID", ""))
    # Nothing else is bound here, and what the thread's last request bound is replaced.
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: flask.Response) -> flask.Response:
    request, g = itself()
    route = request.url_rule.rule if request.url_rule else "unmatched"
    method = request.method if request.method in _METHODS else "other"
    requests, seconds = counters(route, method, response.status_code)
    requests.inc()
    seconds.observe(time.perf_counter() - g.started)
    response.headers["X-Request-ID"] = g.request_id
    return response


@functools.cache
def counters(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """To look them up costs more than to count; there are no more of them than the code has routes and statuses."""
    return metrics.REQUESTS.labels(route, method, str(status)), metrics.REQUEST_SECONDS.labels(route)


class _WithHeaders:
    """A WSGI app whose every answer has SAFE_HEADERS, unless it says otherwise under the very same names, and says how
    its caller stands.

    Here, where an answer's own are read once: to look each of them up in werkzeug's would be a twentieth of a
    prediction.
    """

    def __init__(self, app: WSGIApplication, gate: Callable[[], Gate]) -> None:
        self._app, self._gate = app, gate

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *failed: Any) -> Callable[[bytes], object]:
            said = [name for name, _ in headers]
            more = [item for item in _PAIRS if item[0] not in said]
            caller = environ.get(CALLER)
            if caller is not None:
                more += limits.headers(self._gate(), caller)
            return start_response(status, headers + more, *failed)

        return self._app(environ, start)


def itself() -> tuple[flask.Request, flask.ctx._AppCtxGlobals]:
    """The request and its `g`, for what every request goes through: flask.request and flask.g look for them anew at
    each attribute."""
    return request_ctx.request, app_ctx.g


def nothing_in_body() -> None:
    """For routes that take none; raises InvalidInput."""
    if flask.request.get_data() not in (b"", b"{}"):
        raise errors.InvalidInput.field("body", "must be empty")


def caller() -> Caller:
    found: Caller = flask.g.caller
    return found


def actor() -> Actor:
    """The caller, as who makes a change."""
    return Actor(f"key:{caller().key_id}", flask.g.address)
