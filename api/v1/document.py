"""What is v1's own in its contract: its sections, what stands in its addresses, and what a job may come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apispec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields

from api.contract import REFUSALS, Words
from api.v1.schemas import jobs
from api.v1.schemas.errors import Envelope

_ABOUT = """\
Hand in an input, get a ticket, come back for the result. This contract is at [/openapi/v1.json](/openapi/v1.json), and
at [/docs](/docs) as a page to try it out.

A key goes into every request, as `Authorization: Bearer cck_…` or `X-API-Key: cck_…`. Which models there are, and what
they take, is at `GET /api/v1/models`. Unknown fields and query parameters are refused.

Every answer that is an error has the same body, the schema `Envelope`; what its `code` may be stands with each status,
and all of it with the schema `Error`. The proxy may answer 400, 405, 413, 414, 429 and 503 to any request. Fields
and codes may be added to answers; none is taken away in v1.
"""
#: The sections of the contract, and which blueprints they hold.
SECTIONS = {
    "Predictions": "Ask now",
    "Jobs": "Hand it in, and come back for the result",
    "Uploads": "Hand in a file",
    "Webhooks": "Be called when a job ends",
    "Webhook deliveries": "What was called, and again",
    "Models": "What there is, and what it takes",
    "Limits and usage": "What you may use, and what you used",
    "API keys": "Your own: made, rotated and ended",
    "Administration": "Tenants, tiers, keys, units and the audit log, for operators",
    "Blocks": "Who is held back for repeated errors, for operators",
    "Routes": "Who gets which version of a model, and what was seen of its canaries, for operators",
    "Health and metrics": "For probes and scrapers",
}
TITLES = {
    **dict.fromkeys(("predict", "explain"), "Predictions"),
    "jobs": "Jobs",
    "uploads": "Uploads",
    "webhooks": "Webhooks",
    "webhook_keys": "Webhooks",
    "deliveries": "Webhook deliveries",
    "models": "Models",
    "limits": "Limits and usage",
    "usage": "Limits and usage",
    "keys": "API keys",
    **dict.fromkeys(("tenants", "tiers", "admin_keys", "adjustments", "audit", "shadows", "quality"), "Administration"),
    "blocks": "Blocks",
    "routes": "Routes",
    "health": "Health and metrics",
}
#: What is in an address, by the name that stands there in braces.
IN_PATH = {
    "job_id": "The id of a job: `job_…`",
    "endpoint_id": "The id of a webhook endpoint: `ep_…`; `jobs` where keys are asked for or changed",
    "delivery_id": "The id of a delivery, as the receiver saw it in `webhook-id`",
    "key_id": "The id of an API key: the 12 digits after `cck_`",
    "tenant": "The name of a tenant, percent-encoded",
    "tier": "The name of a tier, percent-encoded",
    "subject": "Who is held back: `key:<id>`, or `address:<network>`",
    "name": "The name of a model",
    "shadow": "The name of a shadow",
    "version": "A version of the model, such as `1.0.0`",
}


def declare_kinds(spec: apispec.APISpec, plugin: MarshmallowPlugin, results: tuple[type[Schema], ...]) -> None:
    """Let a job's result be any of those that there are, and every whole number be a count."""
    for schema in results:
        spec.components.schema(schema.__name__, schema=schema)
    kinds = [{"$ref": f"#/components/schemas/{schema.__name__}"} for schema in results]
    spec.components.schema("Result", {"description": "What a job came to", "anyOf": kinds})
    if plugin.converter is None:
        raise TypeError("the plugin was not given its spec")
    plugin.converter.add_attribute_function(_results)  # type: ignore[no-untyped-call]
    plugin.converter.add_attribute_function(_counts)  # type: ignore[no-untyped-call]


def _results(_: object, field: object, **__: object) -> dict[str, str]:
    return jobs.RESULT if isinstance(field, jobs.Result) else {}


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
    used: set[str] = set()
    for path in found["paths"].values():
        for parameter in path.get("parameters", []):
            parameter["description"] = IN_PATH[parameter["name"]]
        for operation in path.values():
            if isinstance(operation, dict):
                operation["tags"] = [TITLES[name.rpartition(".")[2]] for name in operation["tags"]]
                operation["responses"] = dict(sorted(operation["responses"].items()))
                used.update(operation["tags"])
    found["tags"] = [{"name": title, "description": text} for title, text in SECTIONS.items() if title in used]
    return found


WORDS = Words(
    about=_ABOUT,
    refusal=Envelope,
    media_type="application/json",
    example=lambda said, _: {"error": said},
    statuses=REFUSALS,
    results=jobs.RESULTS,
    told=lambda docs: docs,
    finished=finished,
)
