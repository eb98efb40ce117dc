"""What the contract (OpenAPI 3.1) says of a route beside its schemas, and once for all routes of their errors."""

from __future__ import annotations

import copy
import http
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import apispec
import flask_smorest
from marshmallow import Schema

from api import errors
from api.parsing import StrictParser
from inference import schema

F = TypeVar("F", bound=Callable[..., Any])

#: The answers that are errors: the name of each in the contract, and when it is given.
REFUSALS = {
    400: ("MalformedRequest", "The request or its body cannot be read"),
    401: ("Unauthorized", "No API key, or one that opens nothing"),
    403: ("Forbidden", "A key that may not do this, or not from here"),
    404: ("NotFound", "There is no such thing, or it is another tenant's"),
    409: ("Conflict", "Its state does not allow this now"),
    410: ("Gone", "That version of the model was removed; the error says what to use in its place"),
    413: ("TooLarge", "The body is too large, or has too many items"),
    415: ("UnsupportedMediaType", "The body is not application/json, or is compressed"),
    422: ("InvalidInput", "The request can be read, but breaks a rule that the error names"),
    429: ("TooManyRequests", "Too much at once: try again after Retry-After"),
    500: ("InternalError", "Something went wrong on our side"),
    503: ("Unavailable", "Not now: try again after Retry-After"),
}
#: The name of whatever else is refused, by the proxy or by the server.
ANY_REFUSAL = "Refused"
ONCE = "1 to 255 printable ASCII characters: the same key and request again get the first answer, for 48 hours"
REPLAYED = {"Idempotent-Replayed": "`true` for a stored answer"}
TICKET = {"Location": "The job", "Retry-After": "Seconds", **REPLAYED}
PIN = (
    "The version of the model that is to answer, as `model_version` in the body: one, the newest of those that begin "
    "with `2` or `2.3`, or an alias"
)
ROUTE_KEY = (
    "On whose behalf the request comes, 1 to 128 printable ASCII characters: where a model's routes are by caller, "
    "whoever it is keeps the version that they got"
)
PREFER = "`respond-async` for a ticket, `wait=N` for how many seconds to wait for a result"


_TEXT = {"type": "string"}
_HEADERS = {"Retry-After": {"type": "integer"}}


@dataclass(frozen=True)
class Words:
    """What a version of the API has for its own in its contract."""

    about: str
    refusal: type[Schema]  #: the body of every error
    media_type: str  #: and the type of that
    example: Callable[[Mapping[str, Any], int], dict[str, Any]]  #: such a body, by what is said of an error
    statuses: Mapping[int, tuple[str, str]]  #: of errors: the name of each in the contract, and when it is given
    results: tuple[type[Schema], ...]  #: what a job may come to
    told: Callable[[Any], Any]  #: what routes say of themselves, as it says that
    finished: Callable[[Mapping[str, Any]], dict[str, Any]]  #: the whole contract, by what all routes made of it


def headers(**described: str) -> Callable[[F], F]:
    """Document request headers, by their names with underscores."""
    parameters = [
        {"in": "header", "name": name.replace("_", "-"), "schema": _TEXT, "description": text}
        for name, text in described.items()
    ]

    def decorate(view: F) -> F:
        # Beside those of `arguments`, which `doc(parameters=…)` would replace.
        documented = view.__dict__.setdefault("_apidoc", {})
        documented.setdefault("arguments", {}).setdefault("parameters", []).extend(parameters)
        return view

    return decorate


class Blueprint(flask_smorest.Blueprint):
    """Routes that read their requests strictly, each with its place in the contract."""

    ARGUMENTS_PARSER = StrictParser()

    def register_views_in_doc(self, api: Any, *where: Any, **called: Any) -> None:
        """In the words of this contract, which is one of several."""
        told = copy.copy(self)
        told._docs = api.words.told(self._docs)
        super(Blueprint, told).register_views_in_doc(api, *where, **called)

    def no_query(self, view: F) -> F:
        """Refuse query parameters of any name."""
        checked: F = self.arguments(schema.StrictSchema(), location="query", as_kwargs=True)(view)
        return checked

    def operation(
        self,
        name: str,
        good: Mapping[int, Any],
        *bad: int,
        headers: Mapping[str, str] | None = None,
        also: str | None = None,
    ) -> Callable[[F], F]:
        """Document a route: its name, by which generated clients call it and which never changes; the schemas of its
        good answers, or what one without a body means; the statuses that wear the envelope; and as which type of text
        it answers beside JSON."""
        described = {
            name: {"schema": _HEADERS.get(name, _TEXT), "description": text} for name, text in (headers or {}).items()
        }
        responses: dict[str, Any] = {str(status): REFUSALS[status][0] for status in bad}
        for status, said in good.items():
            responses[str(status)] = {"description": said} if isinstance(said, str) else _json(status, said)
            if also:
                responses[str(status)]["content"][also] = {"schema": _TEXT}
            if described:
                responses[str(status)]["headers"] = described
        # Not `alt_response`: each of those is one more call around the view at every request.
        decorate: Callable[[F], F] = self.doc(operationId=name, responses=responses)
        return decorate


def _json(status: int, schema: Any) -> dict[str, Any]:
    return {"description": http.HTTPStatus(status).phrase, "content": {"application/json": {"schema": schema}}}


def declare_refusals(spec: apispec.APISpec, words: Words) -> None:
    """Let routes refer to the answers that are errors by their names."""
    any_other = {"description": "Any other error", "content": {words.media_type: {"schema": words.refusal}}}
    spec.components.response(ANY_REFUSAL, any_other)
    for status, (name, text) in words.statuses.items():
        codes = errors.codes(status)
        said = {
            "code": codes[0],
            "message": text,
            "details": {},
            "request_id": "req_8f7d9c2a01b2c3d4",
            "timestamp": "2026-11-24T16:04:05Z",
        }
        content = {"schema": words.refusal, "example": words.example(said, status)}
        answer: dict[str, Any] = {
            "description": f"{text}: {', '.join(f'`{code}`' for code in codes)}",
            "content": {words.media_type: content},
        }
        if status in (409, 429, 503):
            again = {"schema": _HEADERS["Retry-After"], "description": "Seconds, where trying again may help"}
            answer["headers"] = {"Retry-After": again}
        spec.components.response(name, answer)
