"""From a request to what is asked of serving."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flask

from api import admission, context, prefer
from api.resources import Resources
from core import errors
from jobs.idempotency import Key
from serving.values import Ask, Order, Preference


def ask(body: Mapping[str, Any], key: Key | None = None) -> Ask:
    """Who asks, and for the version that the header or the body pins; raises InvalidInput where they disagree."""
    header, in_body = flask.request.headers.get("X-Model-Version"), body.get("model_version")
    if header and in_body and header.removeprefix("v") != in_body.removeprefix("v"):
        raise errors.InvalidInput.field("model_version", f"is {in_body}, but the header X-Model-Version says {header}")
    return Ask(context.caller(), flask.g.request_id, body.get("model"), header or in_body, key)


def preference(here: Resources, *, respond_async: bool = False) -> Preference:
    """What the header prefers, or the body's `options.async`; raises InvalidInput."""
    found = prefer.parse(flask.request.headers.get("Prefer"), max_wait_s=here.settings.http.max_wait_s)
    return dataclasses.replace(found, respond_async=found.respond_async or respond_async)


def order(body: Mapping[str, Any]) -> Order:
    """The job that a body orders."""
    said = {name: value for name, value in body.items() if name not in ("model", "model_version", "options")}
    return Order(**said, **body["options"])


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
