"""Whatever stands in a field, a query, an address or a header: an answer, or a refusal in the envelope; no 500."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

from access import tiers
from api import EDITIONS
from api.editions import Edition
from core.strict_json import MAX_LEVELS
from tests import callers
from tests.api.test_bounds import GOOD, IDS
from tests.api.world import refusal
from tests.conftest import Platform

#: As they stand in a body.
VALUES = [
    '""', '" "', r'"\u0000"', r'"\ud800"', r'"\udc00x"', '"\u202e\ufeff"', '"' + "a" * 70_000 + '"', '"1"',
    r'"\uff11\uff12"', '"nan"', "null", "true", "0", "-1", "-0.0", "1.5", "1e308", "1e400", "NaN", "1" * 400,
    str(2**31), str(2**63), str(2**64 - 1), str(2**64), str(-(2**63) - 1), "[]", "[null]", "[[]]", "{}", '{"":""}',
    '{"a":null}', r'{"\u0000":"\u0000"}', '{"a":' * 60 + "1" + "}" * 60, "[" * 300 + "]" * 300,
    "[" * 1000 + "9" * 19 + "]" * 1000, "[" * 2000 + "]" * 2000, '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"', '"2026-02-30T00:00:00Z"', r'"https://a.example/\u0000"', '"http://[::1"',
    '"https://\u2100.example"', '"upl_' + "0" * 32 + '"',
]  # fmt: skip
#: As they stand in a query or an address.
TEXTS = [
    "", " ", "%00", "%ff", "%ED%A0%80", "%EF%BC%91", "+1", "-1", "0x10", "1_0", "1.5", "nan", "inf", "-inf", "1e9",
    "1e400", "9" * 9, "9" * 10, "9" * 18, "9" * 19, "9" * 5000, "true", "[]", "{}", "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00%2B99:99", "AAAAAAAAAAAAAAAAAAAAAA",
    "_____w", "job_" + "0" * 32, "job_" + "%EF%BC%91" * 32, "ep_" + "g" * 32, "jobs", "..", "%2e%2e%2f",
]  # fmt: skip
HEADERS = {
    # Those that a route documents, there; the others, at two that stand for all.
    "Idempotency-Key": ["", " ", '""', '"a', "\x00", "\xff", "k\u00e9", "x" * 300, "a\tb", "\x7f"],
    "X-Model-Version": ["", "\x00", "\xff", "v", "vv1.0.0", "9" * 5000],
    "Prefer": ["wait=", "wait=nan", "wait=inf", "wait=1e9", "wait=-1", "wait=\xb2", "wait=" + "9" * 5000, ",;=,"],
    "X-Request-ID": ["\x00", "\xff", "x" * 5000],
    "Last-Event-ID": ["", "-1", "\xb2", "9" * 18, "9" * 19, "\x00"],
    "If-None-Match": ["", '"', "W/", "\xff", "*"],
    "Content-Type": ["", "application/json; charset=utf-16", "application/json; charset=\xff", "application/x+json"],
    "Content-Encoding": ["gzip", "\xff", ""],
    "Authorization": ["Bearer", "Bearer \xff", "Basic eDp5", "\x00"],
    "Accept": ["\xff", ";;;"],
}
EVERY_HEADER = {("POST", "/jobs"), ("GET", "/jobs/{job_id}")}
LIMITS = {**{name: limit.least for name, limit in tiers.LIMITS.items()}, "priorities": ["normal"],
          "past_allowance": "pay"}  # fmt: skip
UPLOAD = {"content_type": "text/csv", "size": 1}
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/predict": {"inputs": GOOD, "model": "sentiment", "model_version": "1.0.0", "options": {"explain": True}},
    "/api/v1/explain": {"inputs": GOOD, "model": "sentiment", "options": {"explain": "simple"}},
    "/api/v1/predict/batch": {"inputs": [GOOD], "options": {"batch_size": 1, "return_errors": "individual"}},
    "/api/v1/jobs": {
        "inputs": GOOD, "upload_id": "upl_", "input_url": "https://a.example/x", "output_url": "https://a.example/x",
        "webhook_url": "https://a.example/x", "webhook_events": ["job.completed"], "priority": "low",
        "expires_in_s": 60, "timeout_s": 60, "metadata": {"a": 1},
        "options": {"format": "csv", "return_errors": "individual"},
    },
    "/api/v1/jobs/{job_id}/feedback": {"truth": "positive"},
    "/api/v1/uploads": {**UPLOAD, "filename": "a.csv", "sha256": "0" * 64},
    "/api/v1/models": {"model": "a", "version": "1.0.0", "upload_id": "upl_", "stable": True},
    "/api/v1/keys": {"name": "n", "scopes": ["jobs"], "models": ["a"], "networks": ["192.0.2.0/24"],
                     "expires_in_s": 60},
    "/api/v1/keys/{key_id}/rotate": {"overlap_s": 60},
    "/api/v1/admin/tenants": {"name": "n", "tier": "free"},
    "/api/v1/admin/tenants/{tenant}": {"tier": "free"},
    "/api/v1/admin/tiers": {"name": "n", "like": "pro", **LIMITS},
    "/api/v1/admin/tiers/{tier}": LIMITS,
    "/api/v1/admin/keys": {"tenant": "{tenant}", "name": "n", "scopes": ["jobs"], "models": ["a"],
                           "networks": ["192.0.2.0/24"], "expires_in_s": 60},
    "/api/v1/admin/keys/{key_id}/rotate": {"overlap_s": 60},
    "/api/v1/admin/routes/{name}": {
        "stable": "1.0.0", "by": "request", "canaries": [], "experiments": [], "shadows": [],
        "aliases": {"champion": "1.0.0"},
    },
    "/api/v1/admin/adjustments": {"tenant": "{tenant}", "units": 1, "reason": "r"},
    "/api/v1/webhooks": {"url": "https://a.example/x", "events": ["job.completed"], "description": "d",
                         "signing": "v1"},
    "/api/v1/webhooks/{endpoint_id}": {"url": "https://a.example/x", "events": ["job.completed"], "description": "d",
                                       "enabled": True},
    "/api/v1/webhooks/{endpoint_id}/rotate": {"overlap_s": 60},
    "/api/v1/webhooks/{endpoint_id}/redeliver": {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z",
                                                 "status": "all", "after": "1"},
}  # fmt: skip


def refused_or_answered(answer: Any, how: object) -> None:
    assert answer.status_code < 500, (how, answer.text[:300])
    if answer.status_code >= 400:
        assert set(refusal(answer)) >= {"code", "message", "details", "request_id", "timestamp"}, how
    # A stream is left at its headers.
    answer.close()


def fields(body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every field of a body, with the object that holds it."""
    for name, value in body.items():
        yield body, name
        if isinstance(value, dict):
            yield from fields(value)


@pytest.fixture
def known(platform: Platform, client: FlaskClient) -> Iterator[dict[str, str]]:
    """Ids that the caller has; the tiers that are made meanwhile are gone afterwards."""
    before = [row["name"] for row in tiers.listed(platform.engine)]
    job_id = client.post("/api/v1/jobs", json={"inputs": GOOD}).json["job_id"]
    made = client.post("/api/v1/webhooks", json={"url": "https://a.example", "events": ["job.completed"]}).json
    client.post(f"/api/v1/webhooks/{made['id']}/test")
    (delivery,) = client.get(f"/api/v1/webhooks/{made['id']}/deliveries").json["deliveries"]
    yield {
        "job_id": job_id, "endpoint_id": made["id"], "delivery_id": delivery["id"],
        "key_id": callers.key(platform).id, "tenant": callers.key(platform).tenant, "tier": callers.tier(platform),
        "name": "sentiment", "version": "1.0.0", "subject": "key:x", "shadow": "next", "model": "sentiment",
    }  # fmt: skip
    platform.execute("UPDATE tenants SET tier = 'free' WHERE tier <> ALL (:before)", before=before)
    platform.execute("DELETE FROM tiers WHERE name <> ALL (:before)", before=before)


def operations(client: FlaskClient, edition: Edition) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Of a version of the API, with their addresses in it."""
    for path, methods in client.get(f"/openapi/{edition.name}.json").json["paths"].items():
        for method, operation in methods.items():
            if method != "parameters" and path.startswith(edition.prefix):
                yield path, method.upper(), operation


def body_of(path: str) -> dict[str, Any] | None:
    """What is sent there, in whichever version of the API."""
    return BODIES.get(re.sub(r"^/api/v[0-9]+/", "/api/v1/", path))


VERSIONS = pytest.mark.parametrize("edition", EDITIONS, ids=[edition.name for edition in EDITIONS])


@pytest.mark.parametrize("path", BODIES)
def test_odd_values_in_every_field_of_a_body(client: FlaskClient, known: dict[str, str], path: str) -> None:
    """Which are read by the same schemas in every version of the API."""
    method = "PATCH" if path.endswith(("{endpoint_id}", "{tenant}", "{tier}")) else "POST"
    url = path.format(**known)
    for holder, name in fields(BODIES[path]):
        for once in ({}, {"Idempotency-Key": "k"}):
            for value in VALUES:
                kept, holder[name] = holder[name], "HERE"
                # One source of a job at a time, else the others are never looked at.
                files = {"upload_id", "input_url", "output_url"}
                others = files if name not in files else {"inputs", "upload_id", "input_url"} - {name}
                sent = {key: item for key, item in BODIES[path].items() if key not in others}
                data = json.dumps(sent).replace('"HERE"', value).replace("{tenant}", known["tenant"])
                holder[name] = kept
                answer = client.open(url, method=method, data=data, content_type="application/json", headers=once)
                refused_or_answered(answer, (name, value[:80], once))


@VERSIONS
def test_every_body_is_in_the_table(client: FlaskClient, edition: Edition) -> None:
    with_one = {path for path, _, operation in operations(client, edition) if "requestBody" in operation}
    assert {path.replace(edition.prefix, "/api/v1") for path in with_one} == set(BODIES)


@VERSIONS
def test_odd_values_in_every_query_and_address(client: FlaskClient, known: dict[str, str], edition: Edition) -> None:
    for path, method, operation in operations(client, edition):
        body: dict[str, Any] = {"json": body_of(path)} if body_of(path) and method != "GET" else {}
        parameters = [item["name"] for item in operation.get("parameters", []) if item["in"] == "query"]
        for name in parameters:
            for text in TEXTS:
                if (name, text) != ("wait", "9" * 9):
                    url = f"{path.format_map(known)}?{name}={text}"
                    refused_or_answered(client.open(url, method=method, **body), url[:200])
        for text in TEXTS if "{" in path else ():
            url = path.format_map(dict.fromkeys([*IDS, *known], text))
            refused_or_answered(client.open(url, method=method, **body), url[:200])
            for name in known:
                if f"{{{name}}}" in path and path.count("{") > 1:
                    url = path.format_map({**known, name: text})
                    refused_or_answered(client.open(url, method=method, **body), url[:200])


@VERSIONS
def test_odd_values_in_every_header(client: FlaskClient, known: dict[str, str], edition: Edition) -> None:
    for path, method, operation in operations(client, edition):
        documented = {item["name"] for item in operation.get("parameters", []) if item["in"] == "header"}
        data = json.dumps(body_of(path)) if body_of(path) and method != "GET" else None
        for name, values in HEADERS.items():
            if name not in documented and (method, path.removeprefix(edition.prefix)) not in EVERY_HEADER:
                continue
            for value in values:
                headers = {"Content-Type": "application/json", name: value}
                answer = client.open(path.format_map(known), method=method, data=data, headers=headers, buffered=False)
                refused_or_answered(answer, (path, method, name, value[:80]))


@pytest.mark.parametrize("once", [{}, {"Idempotency-Key": "k"}])
def test_what_is_nested_too_deep_is_refused_with_the_limit(client: FlaskClient, once: dict[str, str]) -> None:
    def post(levels: int, inside: str = "") -> Any:
        # The body is a level of its own.
        data = '{"inputs": ' + "[" * (levels - 1) + inside + "]" * (levels - 1) + "}"
        return client.post("/api/v1/predict", data=data, headers={"Content-Type": "application/json", **once})

    assert post(MAX_LEVELS).status_code == 422
    for levels in (MAX_LEVELS + 1, 254, 1000, 1023, 5000):
        for inside in ("", "9" * 19):
            error = post(levels, inside).json["error"]
            assert (error["code"], error["details"]["field"]) == ("MALFORMED_REQUEST", "body")
            assert f"more than {MAX_LEVELS} levels" in error["details"]["issue"]
    metadata: dict[str, Any] = {}
    for _ in range(MAX_LEVELS - 2):
        metadata = {"a": metadata}
    found = client.post("/api/v1/jobs", json={"inputs": GOOD, "metadata": metadata}, headers=once)
    assert client.get(found.headers["Location"]).json["metadata"] == metadata


def test_many_shallow_brackets_are_not_deep(client: FlaskClient, app: flask.Flask) -> None:
    body = {"inputs": [GOOD] * 200}
    assert client.post("/api/v1/predict/batch", json=body).json["count"] == 200
    assert client.post("/api/v1/predict", json={"inputs": {"text": "[{" * 500}}).status_code == 200
