"""What a request asks for beside its body: a version (X-Model-Version), on whose behalf it comes (X-Route-Key), and
how long to wait (`Prefer: respond-async`, `wait=N`, RFC 7240)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flask

from api import admission, context, once
from api.resources import Resources
from core import errors
from serving import asking
from serving.values import Ask, Order, Preference


def ask(route: str, body: Mapping[str, Any], meant: Mapping[str, Any] | None = None) -> Ask:
    """Who asks, for the version that the header or the body pins, and once if there is a key for this route and for
    what is `meant` (the body, unless more belongs to it). Raises InvalidInput, also where header and body disagree."""
    key = once.key(route, body if meant is None else meant)
    request, g = context.itself()
    headers = request.headers
    version = asking.version(headers.get("X-Model-Version"), body.get("model_version"))
    route_key, options = asking.route_key(headers.get("X-Route-Key")), body.get("options", {})
    return Ask(
        context.caller(),
        g.request_id,
        body.get("model"),
        version,
        key,
        route_key,
        options.get("cache"),
        options.get("explain_tolerance"),
        options.get("explain_strict", False),
        g.started,
    )


def preference(here: Resources, *, respond_async: bool = False) -> Preference:
    """What the header prefers, or the body's `options.async`; raises InvalidInput."""
    header = flask.request.headers.get("Prefer")
    return _preferred(header, respond_async, here.settings.http.max_wait_s) if header else Preference(respond_async)


def _preferred(header: str, respond_async: bool, max_wait_s: float) -> Preference:
    """Unknown preferences are ignored, as the RFC asks; a `wait` that is no number or too long raises InvalidInput."""
    wait_s = None
    for part in header.split(","):
        name, _, value = part.split(";")[0].strip().partition("=")
        if name.strip().lower() == "respond-async":
            respond_async = True
        elif name.strip().lower() == "wait" and wait_s is None:
            wait_s = _seconds(value.strip().strip('"'), max_wait_s)
    return Preference(respond_async, wait_s, said=True)


def patience(here: Resources, seconds: float) -> Waiting:
    """To wait for so long; raises InvalidInput for longer than anybody may."""
    most = here.settings.http.max_wait_s
    if seconds > most:
        raise errors.InvalidInput.field("wait", f"must be at most {most:g} seconds", received=seconds)
    return Waiting(here)


def _seconds(text: str, max_wait_s: float) -> float:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > max_wait_s:
        raise errors.InvalidInput.field(
            "Prefer", f"wait must be whole seconds from 0 to {max_wait_s:g}", received=text[:40]
        )
    return float(text)


def order(body: Mapping[str, Any]) -> Order:
    """The job that a body orders."""
    said = {name: value for name, value in body.items() if name not in ("model", "model_version", "options")}
    exactly = ("explain_tolerance", "explain_strict")
    options = {name: value for name, value in body["options"].items() if name not in exactly}
    return Order(**said, **options)


@dataclass(frozen=True)
class Waiting:
    """A request that waits: at a place of its own, for as long as its key is good."""

    here: Resources

    def begin(self) -> bool:
        try:
            admission.move_to(self.here.waiters)
        except errors.Busy:
            return False
        return True

    def look_again(self) -> object:
        """Raises Unauthorized, Forbidden, Unavailable."""
        return admission.verifier()()
