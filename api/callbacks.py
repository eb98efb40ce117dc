"""The webhooks section of the contract (OpenAPI 3.1): what receivers are sent."""

from __future__ import annotations

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from api.schemas.webhooks import EndpointData, JobData
from webhooks.events import FOR_ENDPOINTS, Event

HEADERS = {
    "webhook-id": "The same on every attempt: what was seen before may be dropped",
    "webhook-timestamp": "Of this attempt, in epoch seconds",
    "webhook-signature": "By each key that is good: `v1,…` or `v1a,…`, separated by spaces",
}

SUMMARIES = {
    Event.COMPLETED: "A job has ended with a result",
    Event.FAILED: "A job has ended without one",
    Event.CANCELED: "A job was taken back",
    Event.EXPIRED: "A job was not done in time",
    Event.PROGRESS: "A job moves: at most every five seconds, tried once",
    Event.DISABLED: "Another endpoint was switched off by the platform",
    Event.TEST: "You asked for it",
}


def documented() -> dict[str, Any]:
    """One operation for each event."""
    return {str(event): {"post": _operation(event)} for event in (*FOR_ENDPOINTS, Event.TEST)}


def _operation(event: Event) -> dict[str, Any]:
    data = _json_schema(JobData if event.startswith("job.") else EndpointData)
    body = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": str(event)},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": data,
        },
    }
    return {
        "summary": SUMMARIES[event],
        "security": [],
        "parameters": [
            {"in": "header", "name": name, "required": True, "schema": {"type": "string"}, "description": text}
            for name, text in HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "2XX": {"description": "Taken"},
            "410": {"description": "Never again: the endpoint is switched off"},
            "default": {"description": "Tried again later"},
        },
    }


def _json_schema(schema: type[Schema]) -> dict[str, Any]:
    plugin = MarshmallowPlugin()
    APISpec("events", "1", "3.1.0", plugins=[plugin])
    if plugin.converter is None:
        raise TypeError("the plugin was not given its spec")
    found: dict[str, Any] = plugin.converter.schema2jsonschema(schema)  # type: ignore[no-untyped-call]
    return found
