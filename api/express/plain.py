"""What is asked in the plainest way: a prediction or a job with one input, and nothing that needs thought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from access import callers
from api import admission, parsing
from core import errors

PREDICT, JOBS = "/api/v1/predict", "/api/v1/jobs"
TYPE = "application/json"
#: Whose sense is the API's to find.
UNUSUAL = frozenset({"content-encoding", "idempotency-key", "prefer"})
_KEYS, _OPTIONS = {"model", "model_version", "inputs", "options"}, {"cache"}
_LONGEST_NAME = 64


#: A request as ASGI has it.
Scope = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """What a request says beside its body."""

    path: str
    token: str | None
    connected: str  #: the address of who connected; nothing at a Unix socket
    speaks_for: str  #: and of whom that one speaks for
    said: Mapping[str, str]


@dataclass(frozen=True)
class Body:
    """And in it."""

    model: str | None
    version: str | None
    inputs: object
    cache: bool | None


def head(scope: Scope) -> Head | None:
    """None for what is to be answered by the API."""
    if scope["path"] not in (PREDICT, JOBS) or scope["query_string"] or scope["method"] != "POST":
        return None
    said: dict[str, str] = {}
    for raw, value in scope["headers"]:  # whose names are in lower case
        name = raw.decode("latin-1")
        if name in said or name in UNUSUAL:
            return None
        said[name] = value.decode("latin-1")
    if said.get("content-type") != TYPE or not admission.names_a_host(said.get("host", "")):
        return None
    try:
        token = callers.shown(said.get("authorization"), said.get("x-api-key"))
    except errors.Unauthorized:
        return None
    client = scope.get("client")
    return Head(scope["path"], token, client[0] if client else "", said.get("x-forwarded-for", ""), said)


def body(data: bytes) -> Body | None:
    """None for what is to be answered by the API, be it wrong or only seldom asked; raises MalformedRequest and
    InvalidInput, which is to be said there as well."""
    found = parsing.read(data)
    if type(found) is not dict or not found.keys() <= _KEYS or "inputs" not in found:
        return None
    options = found.get("options", {})
    if type(options) is not dict or not options.keys() <= _OPTIONS:
        return None
    model, version, cache = found.get("model"), found.get("model_version"), options.get("cache")
    fits = _is_name(model, "model" in found) and _is_name(version, "model_version" in found)
    if not fits or (type(cache) is not bool and "cache" in options):
        return None
    return Body(model, version, found["inputs"], cache)


def _is_name(value: Any, given: bool) -> bool:
    return not given or (type(value) is str and 0 < len(value) <= _LONGEST_NAME)
