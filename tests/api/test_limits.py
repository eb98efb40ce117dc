"""Every limit that the contract names: at it there is an answer, one beyond it a refusal that names the field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from access.tiers import LIMITS
from tests.api import world
from tests.api.world import GOOD, Route, World
from tests.conftest import Platform

NAME, URL, PAGE, DIGITS = (1, 64), (1, 2048), (1, 100), (1, 18)
TENANT, TIER, SEEN, CURSOR, UNITS = (1, 100), (1, 40), (1, 200), (1, 100), 2**53
#: What the contract says of the length, the number and the count of everything in a body or a query: least, most.
BOUNDS: Mapping[str, tuple[float, float | None]] = {
    "predict model": NAME, "predict model_version": NAME,
    "explain model": NAME, "explain model_version": NAME,
    **{f"{name} options.explain_tolerance": (0, None) for name in ("predict", "explain", "predictBatch", "createJob")},
    "predictBatch model": NAME, "predictBatch model_version": NAME, "predictBatch inputs": (1, None),
    "predictBatch options.batch_size": (1, 256),
    "createJob model": NAME, "createJob model_version": NAME, "createJob inputs": (1, None),
    "createJob upload_id": NAME, "createJob input_url": (1, 4096), "createJob output_url": (1, 4096),
    "createJob webhook_url": URL, "createJob webhook_events": (1, None), "createJob expires_in_s": (1, None),
    "createJob timeout_s": (1, None),
    "listJobs model": NAME, "listJobs limit": PAGE, "listJobs cursor": NAME, "getJob wait": (0, None),
    "listJobParts after": (0, None), "listJobParts limit": (1, 1000),
    "publishModel upload_id": NAME, "giveFeedback truth": (1, 200),
    "createKey name": (1, 100), "createKey scopes": (1, 10), "createKey models": (1, 50),
    "createKey networks": (1, 50), "createKey expires_in_s": (1, 315_360_000), "rotateKey overlap_s": (0, 604_800),
    "createUpload filename": (1, 255), "createUpload size": (1, None), "createUpload sha256": (44, 64),
    "createWebhook url": URL, "createWebhook events": (1, None), "createWebhook description": (0, 255),
    "updateWebhook url": URL, "updateWebhook events": (1, None), "updateWebhook description": (0, 255),
    "rotateWebhookSecret overlap_s": (0, 604_800),
    "listDeliveries limit": PAGE, "listDeliveries before": DIGITS, "listDeliveries job_id": NAME,
    "listWebhookDeliveries limit": PAGE, "listWebhookDeliveries before": DIGITS,
    "redeliverWebhook after": DIGITS,
    "listTenants limit": PAGE, "listTenants cursor": CURSOR,
    "createTenant name": TENANT, "createTenant tier": TIER, "updateTenant tier": TIER,
    "createTier name": TIER, "createTier like": TIER, "createTier priorities": (1, 3),
    "updateTier priorities": (1, 3),
    **{f"{route} {name}": (limit.least, limit.most) for route in ("createTier", "updateTier")
       for name, limit in LIMITS.items()},
    "listIssuedKeys limit": PAGE, "listIssuedKeys cursor": CURSOR, "listIssuedKeys tenant": TENANT,
    "issueKey tenant": TENANT, "issueKey name": (1, 100), "issueKey scopes": (1, 10), "issueKey models": (1, 50),
    "issueKey networks": (1, 50), "issueKey expires_in_s": (1, 315_360_000), "rotateIssuedKey overlap_s": (0, 604_800),
    "listAdjustments limit": PAGE, "listAdjustments cursor": CURSOR, "listAdjustments tenant": TENANT,
    "createAdjustment tenant": TENANT, "createAdjustment units": (-UNITS, UNITS), "createAdjustment reason": SEEN,
    "listChanges limit": PAGE, "listChanges cursor": CURSOR, "listChanges tenant": TENANT,
    "listChanges subject": SEEN, "listChanges actor": SEEN, "listChanges action": SEEN,
}  # fmt: skip
SAID = {"minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"}


def bounds(spec: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Everything within a schema that has bounds, also those within a pattern."""
    while "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    said = {name.removeprefix("min").removeprefix("max"): name for name in SAID & schema.keys()}
    if repeated := re.search(r"\{(\d+),(\d+)\}\$$", schema.get("pattern", "")):
        yield path, (int(repeated[1]), int(repeated[2]))
    elif said:
        (what,) = said
        yield path, (schema.get(f"min{what}"), schema.get(f"max{what}"))
    for name, inner in schema.get("properties", {}).items():
        yield from bounds(spec, inner, f"{path}.{name}".lstrip("."))
    for inner in schema.get("oneOf", []):
        yield from bounds(spec, inner, path)


@pytest.fixture(scope="module")
def owner(platform: Platform, app: flask.Flask) -> World:
    platform.truncate("jobs CASCADE")
    return world.made(platform, app)


@pytest.fixture
def spec(anonymous: FlaskClient) -> dict[str, Any]:
    return dict(anonymous.get("/openapi/v1.json").get_json())


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in spec["paths"].items():
        for method in item.keys() & {"get", "post", "patch", "delete"}:
            yield method.upper(), path, item[method]


def test_every_bound_of_the_contract_is_tried_here(spec: dict[str, Any]) -> None:
    found: dict[Any, Any] = {}
    for _, _, operation in operations(spec):
        said: list[tuple[str, tuple[Any, Any]]] = []
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                said += bounds(spec, parameter["schema"], parameter["name"])
        if "requestBody" in operation:
            said += bounds(spec, operation["requestBody"]["content"]["application/json"]["schema"], "")
        found |= {f"{operation['operationId']} {name}": both for name, both in said}
    assert found == BOUNDS


def asked(owner: World, spec: dict[str, Any], bound: str, value: Any) -> TestResponse:
    """A good request, but for this field of it."""
    name, field = bound.split(" ")
    method, path, operation = next(item for item in operations(spec) if item[2]["operationId"] == name)
    rules = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule): rule for rule in owner.app.url_map.iter_rules()
             if method in (rule.methods or ())}  # fmt: skip
    route = Route(rules[path], method)
    client = owner.app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {owner.key.token}"
    if field in {item["name"] for item in operation.get("parameters", [])}:
        return client.open(
            route.path(owner.ids), method=method, query_string={**owner.told(route.asked.query), field: value}
        )
    body: Any = owner.told(route.asked.body or {})
    inner = value if "." not in field else {field.split(".")[1]: value}
    return client.open(route.path(owner.ids), method=method, json={**body, field.split(".")[0]: inner})


def sized(bound: str, size: float) -> Any:
    """A value of this length or count, or this number."""
    field = bound.rpartition(" ")[2].rpartition(".")[2]
    if field in ("inputs", "events", "webhook_events"):
        return [GOOD if field == "inputs" else "job.completed"] * int(size)
    if field in ("models", "networks", "scopes", "priorities"):
        return {
            "models": [f"m{number}" for number in range(int(size))],
            "networks": [f"192.0.2.{number}" for number in range(int(size))],
            "scopes": ["predict"] * int(size),
            "priorities": ["normal"] * int(size),
        }[field]
    if field in ("before",) or bound == "redeliverWebhook after":
        return "1" * int(size)
    if field in ("pace", "unit_price"):
        return size
    numbers = (
        *LIMITS,
        "units",
        "limit",
        "after",
        "batch_size",
        "expires_in_s",
        "timeout_s",
        "size",
        "overlap_s",
        "wait",
        "explain_tolerance",
    )
    return int(size) if field in numbers else "x" * int(size)


#: How it is said where that is not by the number.
FORMS = {
    "createJob inputs": "must not be empty",
    "listJobs model": "is not the name of a model",
    "listDeliveries before": "is not the next_before of an earlier page",
    "listWebhookDeliveries before": "is not the next_before of an earlier page",
    "redeliverWebhook after": "is not the next_after of an earlier answer",
}


def refused(answer: TestResponse, bound: str) -> bool:
    """Whether it is for the size of this field: another fault may be found in what has the right one."""
    if answer.status_code != 422:
        return False
    details = answer.get_json()["error"]["details"]
    named = {str(item) for item in BOUNDS[bound] if item is not None} & set(re.findall(r"\b\d+\b", details["issue"]))
    says = bool(named) or details["issue"] == FORMS.get(bound, "must not be empty")
    return says and details["field"] == bound.split(" ")[1]


@pytest.mark.parametrize("bound", BOUNDS)
def test_at_a_bound_there_is_an_answer_and_beyond_it_a_refusal_by_name(
    owner: World, spec: dict[str, Any], bound: str
) -> None:
    least, most = BOUNDS[bound]
    for size in {least, least + 1, *(() if most is None else (most - 1, most))}:
        answer = asked(owner, spec, bound, sized(bound, size))
        assert not refused(answer, bound), (size, answer.text)
        assert answer.status_code < 500
    beyond = [least - 1] if least > 0 or not isinstance(sized(bound, 1), str) else []
    for size in [*beyond, *(() if most is None else (most + 1,))]:
        answer = asked(owner, spec, bound, sized(bound, size))
        assert refused(answer, bound), (size, answer.text)
