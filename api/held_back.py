"""Whose key is blocked, or whose network while it shows no key, and who goes on asking is told the same for a second,
whatever it is, without being looked at.

A refusal by way of Flask takes a good part of a prediction, and a thousand of them a second are noticed by everybody.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from access import callers, networks
from api import client, editions
from core import errors, ids, metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Where a request's environment says that who asks is blocked.
KEY = "coatcheck.held_back"
#: For so long, and of so many keys; somebody who is let go is let in as soon after that.
MEMORY_S, MOST = 1.0, 1000
_PATHS = "/api/"
#: Those among them that answer everybody.
_OPEN = re.compile(r"/api/v[0-9]+/webhooks/[^/]+/keys")

Headers = list[tuple[str, str]]
#: A key, or the network of who shows none; and the version of the API that refuses it.
_Who = tuple[str, str]


@dataclass(frozen=True)
class _Told:
    """An answer, with the id of the request that it was for, until it is forgotten."""

    until: float
    status: str
    headers: Headers
    body: bytes

    def again(self) -> tuple[Headers, bytes]:
        """For a request of its own, whose id is as long."""
        old, new = dict(self.headers)["X-Request-ID"], ids.new_request_id()
        headers = [(name, new if name == "X-Request-ID" else value) for name, value in self.headers]
        return headers, self.body.replace(old.encode(), new.encode())


class HeldBack:
    """A WSGI app around another one, which says in the environment who is blocked; shared by threads. `trusted` are the
    networks of proxies that are believed."""

    def __init__(self, app: WSGIApplication, trusted: tuple[str, ...]) -> None:
        self._app, self._trusted = app, trusted
        self._told: dict[_Who, _Told] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(_PATHS):  # others have other words for it
            return self._app(environ, start_response)
        if self._told and "HTTP_X_REQUEST_ID" not in environ:
            told = self._told.get(self._who(environ))
            if told is not None and time.monotonic() < told.until and not _OPEN.fullmatch(path):
                metrics.REFUSED_AGAIN.inc()
                headers, body = told.again()
                start_response(told.status, headers)
                return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
        said: list[Any] = []

        def start(*answer: Any) -> Any:
            said[:] = answer
            return start_response(*answer)

        body_of = self._app(environ, start)
        if KEY in environ and environ["REQUEST_METHOD"] != "HEAD" and "HTTP_X_REQUEST_ID" not in environ:
            return [self._remember(environ, said, _whole(body_of))]
        return body_of

    def _remember(self, environ: WSGIEnvironment, said: list[Any], body: bytes) -> bytes:
        if len(self._told) >= MOST:
            self._told = {}
        self._told[self._who(environ)] = _Told(time.monotonic() + MEMORY_S, said[0], said[1], body)
        return body

    def _who(self, environ: WSGIEnvironment) -> _Who:
        with contextlib.suppress(errors.Unauthorized):
            token = client.token(environ)
            if token is not None and callers.may_open(token):
                return token, environ[editions.KEY].name
        return networks.of(client.behind(environ, self._trusted)), environ[editions.KEY].name


def _whole(body: Iterable[bytes]) -> bytes:
    """Read to its end, and closed, as a server does (PEP 3333)."""
    try:
        return b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
