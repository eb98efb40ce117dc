"""What errors of all routes lead to for who makes them again and again, and what is told of it in each answer."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Mapping

import flask

from access import callers, networks
from access.callers import Callers
from access.conduct import Conduct
from access.keys import Caller
from access.ladder import Standing
from api import client, held_back, resources
from core import errors

#: What an error weighs, by its status. A caller at a limit is told when to come back, and some come too soon.
WEIGHTS = {
    400: 1.0, 401: 1.0, 403: 1.0, 404: 0.5, 405: 1.0, 406: 1.0, 413: 1.0, 414: 1.0, 415: 1.0, 422: 1.0, 429: 0.25,
}  # fmt: skip
#: What the caller may not be to blame for, and what a refusal of ours leads to by itself.
BLAMELESS = (errors.ModelError, errors.TimedOut, errors.TooManyRequests, errors.Blocked)
#: Of a network that is blocked, so many are looked up at a time.
_FROM_BLOCKED = threading.BoundedSemaphore(2)
_KEY_ID = re.compile(r"cck_[0-9a-f]{12}")


def register(app: flask.Flask) -> None:
    app.after_request(_answered)


def verified(conduct: Conduct, callers: Callers, token: str | None, address: str) -> Caller:
    """Who shows this and comes from there. From a network that is blocked those are let in whose key opens something;
    few are looked up at a time, so that a flood from there costs nobody else much.

    Raises Blocked, Unauthorized, Forbidden, Unavailable.
    """
    blocked = conduct.refusal(f"address:{networks.of(address)}")
    if blocked is None:
        return callers.verify(token, address)
    if not _FROM_BLOCKED.acquire(blocking=False):
        raise blocked
    try:
        return callers.verify(token, address)
    except errors.Unauthorized as error:
        raise blocked from error
    finally:
        _FROM_BLOCKED.release()


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
    conduct, g = resources.here().conduct, flask.g
    subject: str | None = g.get("subject")
    if isinstance(g.get("error"), errors.Blocked) and (subject is not None or not _may_open(flask.request.environ)):
        flask.request.environ[held_back.KEY] = True
    if response.status_code >= 400:
        subject = subject or _of_network(flask.request.environ)
        _failed(conduct, subject, response)
    elif subject is not None:
        conduct.went_well(subject)
    if subject is not None and (found := conduct.standing(subject)) is not None:
        response.headers["X-Conduct"] = _told(found)
    return response


def _failed(conduct: Conduct, subject: str, response: flask.Response) -> None:
    weight = WEIGHTS.get(response.status_code, 0.0)
    if not weight or isinstance(flask.g.get("error"), BLAMELESS):
        return
    caller: Caller | None = flask.g.get("caller")
    tried = _tried(flask.request.environ) if response.status_code == 401 else ""
    tenant_id = caller.tenant_id if caller else None
    wait_s = conduct.failed(subject, tenant_id, weight, tried=tried)
    if wait_s > response.headers.get("Retry-After", 0, type=int):
        response.headers["Retry-After"] = str(wait_s)


def _tried(environ: Mapping[str, str]) -> str:
    """The id of the key that came; empty for what is none."""
    found = _KEY_ID.search(f"{environ.get('HTTP_AUTHORIZATION')} {environ.get('HTTP_X_API_KEY')}")
    return found[0] if found else ""


def _told(found: Standing) -> str:
    until = dt.datetime.fromtimestamp(found.until_s, dt.UTC)
    return f"{found.level.word}; until={until:%Y-%m-%dT%H:%M:%SZ}; reason={found.reason}"
