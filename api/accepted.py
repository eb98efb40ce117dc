"""What a client accepts (RFC 9110 §12.5.1): it chooses a version of the API where the address names none, and is told
where there is nothing of what it asks for."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import flask
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import NotAcceptable
from werkzeug.http import parse_accept_header

from api import editions
from api.editions import Edition

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

JSON, CSV, EVENTS, SVG = "application/json", "text/csv", "text/event-stream", "image/svg+xml"
#: What else routes answer with, by their names.
ALSO: Mapping[str, tuple[str, ...]] = {"usage.show": (CSV,), "jobs.events": (EVENTS,), "explain.explain": (SVG,)}
#: Of which type the answer is to be, where it is not JSON by its plain name.
TYPE = "coatcheck.media_type"
_VERSIONED = re.compile(rf"{editions.ROOT}/(v[0-9]+)(/|\Z)")
#: JSON has no such parameter (RFC 8259 §11), and it means what is so anyway.
_CHARSET = re.compile(r';\s*charset\s*=\s*"?utf-8"?', re.IGNORECASE)

Headers = list[tuple[str, str]]


@functools.lru_cache(1024)
def best(accept: str, offers: tuple[str, ...]) -> str | None:
    """Which of these is wanted most, the first of equals; None where none is. Who says nothing takes anything."""
    if not accept.strip():
        return offers[0]
    return parse_accept_header(_CHARSET.sub("", accept), MIMEAccept).best_match(offers)


class Chosen:
    """A WSGI app around another one, which says in the environment of each request which version of the API answers it:
    the one that its address names, or else the one that it accepts most, and then as if its address had named that.

    `ended` are headers that answers of a version have since its end was decided on, by its name.
    """

    def __init__(self, app: WSGIApplication, known: Sequence[Edition], ended: Mapping[str, Headers]) -> None:
        self._app, self._ended = app, ended
        self._known, self._first = known, known[0]
        self._named = {item.name: item for item in known}
        self._offered = {JSON: self._first, **{item.media_type: item for item in known}}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        named = self._name(path)
        environ[editions.KEY], environ[editions.KNOWN] = named or self._first, self._known
        if named is None and path.startswith(f"{editions.ROOT}/"):
            environ[editions.KEY] = named = self._choose(environ.get("HTTP_ACCEPT", ""))
            environ[editions.CHOSEN] = True
            environ["PATH_INFO"] = named.prefix + path.removeprefix(editions.ROOT)
        if named is None or not (_minds(environ) or named.name in self._ended):
            return self._app(environ, start_response)

        def start(status: str, headers: Headers, *failed: Any) -> Any:
            return start_response(status, self._told(environ, headers), *failed)

        return self._app(environ, start)

    def _name(self, path: str) -> Edition | None:
        """The version that an address names. Of one that is not there the newest says so: who asks for it knows more
        than v1."""
        found = _VERSIONED.match(path)
        return self._named.get(found[1], self._known[-1]) if found else None

    def _choose(self, accept: str) -> Edition:
        return self._offered[best(accept, tuple(self._offered)) or JSON]

    def _told(self, environ: WSGIEnvironment, headers: Headers) -> Headers:
        """The headers of an answer, with what is said of its version and why it is that one."""
        answered: Edition = environ[editions.KEY]
        if _minds(environ):
            settled = environ.get(TYPE, JSON)
            # What was to be a table or a picture, and is a refusal, is told as JSON.
            named = settled if settled in self._offered else JSON
            headers = [(name, named if value == JSON else value) for name, value in headers]
            headers = _vary(headers)
        if answered.name in self._ended:
            said = {name for name, _ in headers}
            # As it was written in the address: what it stands for may mean something else there, or end the header.
            path = quote(environ["PATH_INFO"].encode("latin-1"))
            successor = self._known[-1].prefix + path.removeprefix(answered.prefix)
            ended = [item for item in self._ended[answered.name] if item[0] not in said]
            # A list of its own: a refusal that is remembered is told to others as well.
            headers = [*headers, *ended, ("Link", f'<{successor}>; rel="successor-version"')]
        return headers


def _vary(headers: Headers) -> Headers:
    return headers if ("Vary", "Accept") in headers else [*headers, ("Vary", "Accept")]


def _minds(environ: Mapping[str, Any]) -> bool:
    """Whether what the client accepts matters to this request."""
    return environ[editions.KEY].minds_accept or editions.CHOSEN in environ


def agree() -> None:
    """Settle of which type the answer is to be. Raises NotAcceptable where the client takes none that this route has,
    which is said in the words of the newest version."""
    environ = flask.request.environ
    accept, endpoint = environ.get("HTTP_ACCEPT"), flask.request.endpoint
    if accept is None or endpoint is None or not _minds(environ):
        return
    ours = (JSON, editions.here().media_type, *ALSO.get(editions.route(endpoint), ()))
    found = best(accept, ours)
    if found is None:
        raise _nothing(environ, ours)
    environ[TYPE] = found


def _nothing(environ: dict[str, Any], ours: Sequence[str]) -> NotAcceptable:
    """What is said where none of ours is accepted, nor, at an address that names no version, of any other's."""
    known: Sequence[Edition] = environ[editions.KNOWN]
    environ[editions.KEY] = known[-1]
    all_ = [*ours, *(item.media_type for item in known if editions.CHOSEN in environ)]
    return NotAcceptable(f"This is answered as {', '.join(dict.fromkeys(all_))}; none of them is in Accept")


def wanted(*offers: str) -> str:
    """Which of these types the client wants most; the first where it wants none."""
    environ = flask.request.environ
    settled: str | None = environ.get(TYPE)
    if settled is not None:
        return settled if settled in offers else offers[0]
    return flask.request.accept_mimetypes.best_match(offers, offers[0])
