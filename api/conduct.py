"""What errors of all routes lead to for who makes them again and again, and what is told of it in each answer."""

from __future__ import annotations

from collections.abc import Mapping

import flask

from access import callers, entrance
from access.conduct import Conduct
from access.keys import Caller
from api import client, context, held_back, resources
from core import errors

#: What an error weighs, by its status. A caller at a limit is told when to come back, and some come too soon.
WEIGHTS = {
    400: 1.0, 401: 1.0, 403: 1.0, 404: 0.5, 405: 1.0, 406: 1.0, 413: 1.0, 414: 1.0, 415: 1.0, 422: 1.0, 429: 0.25,
}  # fmt: skip


def register(app: flask.Flask) -> None:
    app.after_request(_answered)


def enter(conduct: Conduct, caller: Caller) -> None:
    """Raises Blocked."""
    flask.g.subject = caller.subject
    conduct.enter(caller.subject)


def _may_open(environ: Mapping[str, str]) -> bool:
    """Whether it is only for want of a place that nobody looked who asks from a blocked network."""
    return callers.may_open(client.token(environ))


def _of_network(environ: Mapping[str, str]) -> str:
    return f"address:{client.network(environ)}"


def _answered(response: flask.Response) -> flask.Response:
    conduct, (request, g) = resources.here().conduct, context.itself()
    subject: str | None = g.get("subject")
    if isinstance(g.get("error"), errors.Blocked) and (subject is not None or not _may_open(request.environ)):
        request.environ[held_back.KEY] = True
    if response.status_code >= 400:
        subject = subject or _of_network(request.environ)
        _failed(conduct, subject, response)
    elif subject is not None:
        conduct.went_well(subject)
    if subject is not None and (found := conduct.standing(subject)) is not None:
        response.headers["X-Conduct"] = found.told
    return response


def _failed(conduct: Conduct, subject: str, response: flask.Response) -> None:
    caller: Caller | None = flask.g.get("caller")
    environ, refused = flask.request.environ, response.status_code == 401
    shown = f"{environ.get('HTTP_AUTHORIZATION')} {environ.get('HTTP_X_API_KEY')}" if refused else ""
    weight, tenant_id = WEIGHTS.get(response.status_code, 0.0), caller.tenant_id if caller else None
    wait_s = entrance.failed(conduct, subject, tenant_id, weight, flask.g.get("error"), shown)
    if wait_s > response.headers.get("Retry-After", 0, type=int):
        response.headers["Retry-After"] = str(wait_s)
