"""One of everything that a tenant may have, and a good request for every route there is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

import models
from access import keys
from api import editions
from core import ids
from jobs import uploads
from tests import callers, factories
from tests.callers import Key
from tests.conftest import Platform
from tests.hands import complete, take

GOOD = {"text": "Lovely"}
TENSOR = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["Lovely"]}
HOOK = "https://example.com/hook"
ONCE = {"Idempotency-Key": "k"}


@dataclass(frozen=True)
class Asked:
    """What a route is asked, and what the right key gets; `of` are ids that are not the usual ones. Texts in braces are
    those of the world, and `new` is a name that nobody has."""

    status: int
    body: Mapping[str, Any] | None = None
    changes: bool = False  #: rows
    of: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)  #: that it cannot go without


#: By the name of the route, which it has in every version of the API. Whoever adds a route adds what is asked of it.
ASKED: Mapping[str, Asked] = {
    "root": Asked(302),
    "docs_asset": Asked(200, of={"name": "asset"}),
    "favicon": Asked(302),
    "api-docs.openapi_json": Asked(200),
    "api-docs.openapi_swagger_ui": Asked(200),
    "v2-api-docs.openapi_json": Asked(200),
    "predict.predict": Asked(200, {"inputs": GOOD}, changes=True),
    "explain.explain": Asked(200, {"inputs": GOOD}, changes=True),
    "predict.predict_batch": Asked(200, {"inputs": [GOOD]}, changes=True),
    "jobs.submit": Asked(202, {"inputs": GOOD, "webhook_url": HOOK}, changes=True),
    "jobs.list_jobs": Asked(200),
    "jobs.show": Asked(200),
    "jobs.result": Asked(200),
    "jobs.parts": Asked(200),
    "jobs.events": Asked(200),
    "jobs.cancel": Asked(200, changes=True, of={"job_id": "waiting"}),
    "jobs.retry": Asked(202, changes=True),
    "jobs.give_feedback": Asked(204, {"truth": "negative"}, changes=True),
    "uploads.create": Asked(201, {"content_type": "text/csv", "size": 1}, changes=True),
    "webhooks.create": Asked(201, {"url": HOOK, "events": ["job.completed"]}, changes=True),
    "webhooks.list_endpoints": Asked(200),
    "webhooks.show": Asked(200),
    "webhooks.change": Asked(200, {"description": "Another one", "url": f"{HOOK}/2", "enabled": False}, changes=True),
    "webhooks.delete": Asked(204, changes=True),
    "webhook_keys.secret": Asked(200),
    "webhook_keys.rotate": Asked(200, {}, changes=True),
    "webhooks.test": Asked(202, changes=True),
    "deliveries.list_all": Asked(200),
    "deliveries.list_of_endpoint": Asked(200),
    "deliveries.show": Asked(200),
    "deliveries.redeliver": Asked(202, changes=True),
    "deliveries.redeliver_since": Asked(202, {"since": "2020-01-01T00:00:00Z"}, changes=True),
    "keys.list_keys": Asked(200),
    "keys.create": Asked(201, {"name": "web"}, changes=True),
    "keys.rotate": Asked(201, {}, changes=True),
    "keys.revoke": Asked(204, changes=True),
    "tenants.list_tenants": Asked(200),
    "tenants.create": Asked(201, {"name": "{new}", "tier": "free"}, changes=True),
    "tenants.show": Asked(200),
    "tenants.change": Asked(200, {"tier": "internal"}, changes=True),
    "tiers.list_tiers": Asked(200),
    "tiers.create": Asked(201, {"name": "{new}", "like": "pro", "max_pending": 5}, changes=True),
    "tiers.show": Asked(200),
    "tiers.change": Asked(200, {"pace": 2.5, "priorities": ["normal"]}, changes=True),
    "admin_keys.list_keys": Asked(200),
    "admin_keys.create": Asked(201, {"tenant": "{tenant}", "name": "web"}, changes=True),
    "admin_keys.rotate": Asked(201, {}, changes=True),
    "admin_keys.revoke": Asked(200, changes=True),
    "adjustments.list_adjustments": Asked(200, query={"tenant": "{tenant}"}),
    "adjustments.create": Asked(201, {"tenant": "{tenant}", "units": 5, "reason": "Made good"}, changes=True),
    "audit.list_changes": Asked(200),
    "blocks.list_blocks": Asked(200),
    "blocks.lift": Asked(204, changes=True),
    "shadows.list_shadows": Asked(200),
    "shadows.show": Asked(200),
    "quality.show_quality": Asked(200),
    "routes.show": Asked(200),
    "routes.change": Asked(200, {"aliases": {"{new}": "1.0.0"}}, changes=True),
    "models.publish": Asked(202, {"model": "sentiment", "version": "9.0.0", "upload_id": "{upload_id}"}, changes=True),
    "models.list_models": Asked(200),
    "models.show_model": Asked(200),
    "models.show_version": Asked(200),
    "limits.show_limits": Asked(200),
    "usage.show": Asked(200),
    "health.healthz": Asked(200),
    "health.ready": Asked(200),
    "health.metrics": Asked(200),
    "webhook_keys.keys": Asked(200),
    "oip.live": Asked(200),
    "oip.ready": Asked(200),
    "oip.server": Asked(200),
    "oip.model": Asked(200),
    "oip.model_ready": Asked(200),
    "oip.infer": Asked(200, {"inputs": [TENSOR]}, changes=True),
    "oip.index": Asked(200),
    "graphql.ask": Asked(200, {"query": "{{ models {{ next }} }}"}),
}


@dataclass(frozen=True)
class Route:
    """One method of one rule."""

    rule: Rule
    method: str

    @property
    def name(self) -> str:
        """The same in every version of the API."""
        return editions.route(self.rule.endpoint)

    @property
    def asked(self) -> Asked:
        return ASKED[self.name]

    @property
    def own(self) -> bool:
        """Whether it is what the route was made for, and not what Flask adds to it."""
        return self.method not in ("HEAD", "OPTIONS")

    @property
    def enveloped(self) -> bool:
        """Whether its errors wear the envelope; those of the Open Inference Protocol are a text (test_oip.py)."""
        return not self.rule.rule.startswith("/v2")

    @property
    def tells(self) -> bool:
        """Whether an error can be seen to wear it."""
        return self.enveloped and self.method != "HEAD"

    def path(self, ids_by_name: Mapping[str, str]) -> str:
        path = re.sub(r"<\w+:", "<", self.rule.rule)
        for name in self.rule.arguments:
            path = path.replace(f"<{name}>", ids_by_name[self.asked.of.get(name, name)])
        return path


def refusal(answer: TestResponse) -> dict[str, Any]:
    """What is said of an error, in the words of v1: in later versions of the API it is a problem (RFC 9457)."""
    body = dict(answer.get_json())
    if answer.mimetype != "application/problem+json":
        return dict(body["error"])
    assert body["status"] == answer.status_code
    assert body["instance"] == f"#{body['request_id']}"
    faults = body.get("errors", [])
    return {**body, "message": body["detail"], "details": faults[0] if faults else body.get("details", {})}


def routes(app: flask.Flask) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods or ()):
            yield Route(rule, method)


@dataclass(frozen=True)
class World:
    """A tenant, and the ids of what it has; `running` and `chunk` are for nobody's address as a rule."""

    app: flask.Flask
    key: Key
    ids: Mapping[str, str]

    def told(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """With what is of this world in the place of what is in braces."""
        known = {**self.ids, "new": callers.name("new")}

        def filled(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {filled(name): filled(inner) for name, inner in value.items()}
            return value.format(**known) if isinstance(value, str) else value

        return {name: filled(value) for name, value in said.items()}

    def ask(self, route: Route, headers: Mapping[str, str], **other_ids: str) -> TestResponse:
        """A good request, with these headers and perhaps other ids; a body that goes on is left."""
        body = route.asked.body
        more: dict[str, Any] = {"json": self.told(body)} if body is not None and route.own else {}
        more |= {"query_string": self.told(route.asked.query)} if route.own else {}
        path = route.path({**self.ids, **other_ids})
        client = self.app.test_client()
        answer = client.open(path, method=route.method, headers={**ONCE, **headers}, buffered=True, **more)
        answer.close()
        return answer


def made(platform: Platform, app: flask.Flask) -> World:
    """A tenant that has one of everything. No job of anybody waits but its own."""
    key = callers.key(platform, scopes=keys.SCOPES - {"metrics"})
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"

    def post(path: str, **body: Any) -> dict[str, Any]:
        answer = client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return dict(answer.get_json())

    endpoint = post("webhooks", url=HOOK, events=["job.completed"], signing="v1a")["id"]
    upload = post("uploads", content_type="application/x-tar", size=1)["upload_id"]
    platform.store.put(uploads.key(ids.parse_upload_id(upload)), b"x")
    # What ends while it is off is a failed delivery.
    assert client.patch(f"/api/v1/webhooks/{endpoint}", json={"enabled": False}).status_code == 200
    ended, running = post("jobs", inputs=GOOD)["job_id"], post("jobs", inputs=GOOD)["job_id"]
    while batch := take(platform):
        complete(platform, [job for job in batch.jobs if ids.job_id(job.id) != running])
    assert client.patch(f"/api/v1/webhooks/{endpoint}", json={"enabled": True}).status_code == 200
    (delivery,) = client.get("/api/v1/webhooks/deliveries").get_json()["deliveries"]
    # One whose id is another one in capitals.
    other = next(key for key in iter(lambda: post("keys", name="other")["id"], "") if not key.isdigit())
    waiting, chunk = post("jobs", inputs=GOOD)["job_id"], post("jobs", inputs=GOOD)["job_id"]
    platform.execute(
        "UPDATE jobs SET parent_id = :parent WHERE id = :id",
        parent=ids.parse_job_id(running),
        id=ids.parse_job_id(chunk),
    )
    found = {
        "job_id": ended, "running": running, "waiting": waiting, "chunk": chunk, "endpoint_id": endpoint,
        "delivery_id": delivery["id"], "upload_id": upload, "name": "sentiment", "version": "1.0.0",
        "asset": "page.css", "key_id": other, "tenant": key.tenant, "tier": callers.tier(platform),
        "subject": str(factories.add(platform, models.Block)["subject"]),
        "shadow": str(factories.add(platform, models.ShadowPair, name=callers.name("next"))["name"]),
    }  # fmt: skip
    return World(app, key, found)
