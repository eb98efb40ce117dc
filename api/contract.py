"""What the contract (OpenAPI 3.1) says of a route beside its schemas, and once for all routes of their errors."""

from __future__ import annotations

import http
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import apispec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields

from api import errors
from api.parsing import Blueprint
from api.schemas import jobs
from api.schemas.errors import Envelope

F = TypeVar("F", bound=Callable[..., Any])

#: The answers that wear the envelope: the name of each in the contract, and when it is given.
REFUSALS = {
    400: ("MalformedRequest", "The request or its body cannot be read"),
    401: ("Unauthorized", "No API key, or one that opens nothing"),
    403: ("Forbidden", "A key without the scope for this"),
    404: ("NotFound", "There is no such thing, or it is another tenant's"),
    409: ("Conflict", "Its state does not allow this now"),
    413: ("TooLarge", "The body is too large, or has too many items"),
    415: ("UnsupportedMediaType", "The body is not application/json, or is compressed"),
    422: ("InvalidInput", "The request can be read, but breaks a rule that the error names"),
    429: ("TooManyRequests", "Too much at once: try again after Retry-After"),
    500: ("InternalError", "Something went wrong on our side"),
    503: ("Unavailable", "Not now: try again after Retry-After"),
}
#: The name of whatever else is refused, by the proxy or by the server.
ANY_REFUSAL = "Refused"
#: The sections of the contract, and which blueprints they hold.
SECTIONS = {
    "Predictions": "Ask now",
    "Jobs": "Hand it in, and come back for the result",
    "Uploads": "Hand in a file",
    "Webhooks": "Be called when a job ends",
    "Webhook deliveries": "What was called, and again",
    "Models": "What there is, and what it takes",
    "Health and metrics": "For probes and scrapers",
}
TITLES = {
    "predict": "Predictions",
    "jobs": "Jobs",
    "uploads": "Uploads",
    "webhooks": "Webhooks",
    "webhook_keys": "Webhooks",
    "deliveries": "Webhook deliveries",
    "models": "Models",
    "health": "Health and metrics",
}
RESULT = {"$ref": "#/components/schemas/Result"}
#: What is in an address, by the name that stands there in braces.
IN_PATH = {
    "job_id": "The id of a job: `job_…`",
    "endpoint_id": "The id of a webhook endpoint: `ep_…`; `jobs` where keys are asked for or changed",
    "delivery_id": "The id of a delivery, as the receiver saw it in `webhook-id`",
    "name": "The name of a model",
    "version": "A version of the model, such as `1.0.0`",
}

ONCE = "1 to 255 printable ASCII characters: the same key and request again get the first answer, for 48 hours"
REPLAYED = {"Idempotent-Replayed": "`true` for a stored answer"}
PIN = "The version of the model that is to answer, as `model_version` in the body"
PREFER = "`respond-async` for a ticket, `wait=N` for how many seconds to wait for a result"


_TEXT = {"type": "string"}
_HEADERS = {"Retry-After": {"type": "integer"}}


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


def operation(
    blueprint: Blueprint, name: str, good: Mapping[int, Any], *bad: int, headers: Mapping[str, str] | None = None
) -> Callable[[F], F]:
    """Document a route: its name, by which generated clients call it and which never changes; the schemas of its good
    answers, or what one without a body means; and the statuses that wear the envelope."""
    described = {
        name: {"schema": _HEADERS.get(name, _TEXT), "description": text} for name, text in (headers or {}).items()
    }
    responses: dict[str, Any] = {str(status): REFUSALS[status][0] for status in bad}
    for status, said in good.items():
        responses[str(status)] = {"description": said} if isinstance(said, str) else _json(status, said)
        if described:
            responses[str(status)]["headers"] = described
    # Not `alt_response`: each of those is one more call around the view at every request.
    decorate: Callable[[F], F] = blueprint.doc(operationId=name, responses=responses)
    return decorate


def _json(status: int, schema: Any) -> dict[str, Any]:
    return {"description": http.HTTPStatus(status).phrase, "content": {"application/json": {"schema": schema}}}


def declare_refusals(spec: apispec.APISpec) -> None:
    """Let routes refer to the answers that wear the envelope by their names."""
    any_other = {"description": "Any other error", "content": {"application/json": {"schema": Envelope}}}
    spec.components.response(ANY_REFUSAL, any_other)
    for status, (name, text) in REFUSALS.items():
        codes = errors.codes(status)
        said = {
            "code": codes[0],
            "message": text,
            "details": {},
            "request_id": "req_8f7d9c2a01b2c3d4",
            "timestamp": "2026-11-24T16:04:05Z",
        }
        content = {"schema": Envelope, "example": {"error": said}}
        answer: dict[str, Any] = {
            "description": f"{text}: {', '.join(f'`{code}`' for code in codes)}",
            "content": {"application/json": content},
        }
        if status in (409, 429, 503):
            again = {"schema": _HEADERS["Retry-After"], "description": "Seconds, where trying again may help"}
            answer["headers"] = {"Retry-After": again}
        spec.components.response(name, answer)


def declare_kinds(spec: apispec.APISpec, plugin: MarshmallowPlugin) -> None:
    """Let a job's result be any of those that there are, and every whole number be a count."""
    for schema in jobs.RESULTS:
        spec.components.schema(schema.__name__, schema=schema)
    kinds = [{"$ref": f"#/components/schemas/{schema.__name__}"} for schema in jobs.RESULTS]
    spec.components.schema("Result", {"description": "What a job came to", "anyOf": kinds})
    if plugin.converter is None:
        raise TypeError("the plugin was not given its spec")
    plugin.converter.add_attribute_function(_results)  # type: ignore[no-untyped-call]
    plugin.converter.add_attribute_function(_counts)  # type: ignore[no-untyped-call]


def _results(_: object, field: object, **__: object) -> dict[str, str]:
    return RESULT if isinstance(field, jobs.Result) else {}


def _counts(_: object, field: object, *, ret: Mapping[str, Any], **__: object) -> dict[str, int]:
    return {"minimum": 0} if isinstance(field, fields.Integer) and "minimum" not in ret else {}


def _say_default(described: dict[str, Any]) -> None:
    """In words: generators of TypeScript take a field with a `default` for one that has to be sent."""
    default = described.pop("default", None)
    if default not in (None, "", {}):
        described["description"] += f" Without it: `{default}`."


def finished(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The whole contract, with what stands in addresses described, and blueprints under their titles."""
    found: dict[str, Any] = dict(spec)
    for schema in found["components"]["schemas"].values():
        for described in schema.get("properties", {}).values():
            _say_default(described)
    found["tags"] = [{"name": title, "description": text} for title, text in SECTIONS.items()]
    for path in found["paths"].values():
        for parameter in path.get("parameters", []):
            parameter["description"] = IN_PATH[parameter["name"]]
        for operation in path.values():
            if isinstance(operation, dict):
                operation["tags"] = [TITLES[name] for name in operation["tags"]]
                operation["responses"] = dict(sorted(operation["responses"].items()))
    return found
