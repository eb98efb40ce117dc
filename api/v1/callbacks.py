"""The webhooks section of the contract (OpenAPI 3.1): what receivers are sent."""

from __future__ import annotations

from typing import Any

import apispec

from api.v1.schemas.admin import Block
from api.v1.schemas.routes import CanaryData
from api.v1.schemas.usage import QuotaData
from api.v1.schemas.webhooks import EndpointData, JobData
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
    Event.WARNED: "A caller makes errors again and again, and was warned",
    Event.SLOWED: "It goes on, and has a part of its rates",
    Event.BLOCKED: "It goes on, and is refused",
    Event.ROLLED_BACK: "A canary was rolled back, by what was seen of it or by somebody",
    Event.PROMOTED: "A canary was promoted: its version is the stable one",
    Event.QUOTA_WARNING: "80 % of the month's units are used, or will be by jobs that are not done",
    Event.QUOTA_REACHED: "All of the month's units are used; the allowance begins",
    Event.QUOTA_EXCEEDED: "The allowance is used as well: what comes now is refused, or paid for",
    Event.TEST: "You asked for it",
}
#: What each kind of events is about, by how its name begins.
ABOUT = {"job": JobData, "webhook": EndpointData, "access": Block, "quota": QuotaData, "routes": CanaryData}


def document(spec: apispec.APISpec) -> None:
    """One operation for each event, and a schema for each kind of them."""
    for schema in ABOUT.values():
        spec.components.schema(schema.__name__, schema=schema)
    spec.options["webhooks"] = {str(event): {"post": _operation(event)} for event in (*FOR_ENDPOINTS, Event.TEST)}


def _operation(event: Event) -> dict[str, Any]:
    data = ABOUT[event.partition(".")[0]].__name__
    body = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"type": "string", "const": str(event), "description": "What happened"},
            "timestamp": {"type": "string", "format": "date-time", "description": "When"},
            "data": {"$ref": f"#/components/schemas/{data}", "description": "To what"},
        },
    }
    return {
        "operationId": f"on{event.title().replace('.', '').replace('_', '')}",
        "summary": SUMMARIES[event],
        "tags": ["Webhooks"],
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
