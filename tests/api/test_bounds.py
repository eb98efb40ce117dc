"""What a request may cost: an answer, a row and a listing of bounded size, however many things are wrong with it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

import models
from core.errors import MAX_FAULTS, MAX_NAME
from inference.schema import SPARE_KEYS
from jobs import queries
from tests import factories
from tests.conftest import Platform
from webhooks import deliveries

PREDICT = "/api/v1/predict"
MANY = {f"k{number}": 1 for number in range(5000)}
GOOD = {"text": "Lovely"}
#: More than the envelope of any error takes.
SHORT = 1000
IDS = {"job_id": "job_", "endpoint_id": "ep_", "delivery_id": "msg_"}


def routes(app: flask.Flask, *methods: str) -> Iterator[tuple[str, str]]:
    """Every route of v1, with ids that nobody has."""
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) & set(methods):
            if rule.rule.startswith("/api/v1/"):
                path = re.sub(r"<\w+:", "<", rule.rule)
                for name in rule.arguments:
                    path = path.replace(f"<{name}>", IDS.get(name, "") + "0" * 32)
                yield method, path


def test_thousands_of_unknown_fields_are_one_fault_at_every_route(client: FlaskClient, app: flask.Flask) -> None:
    found = list(routes(app, "POST", "PATCH"))
    assert len(found) > 10
    for method, path in found:
        answer = client.open(path, method=method, json=MANY)
        assert (answer.status_code, len(answer.data) < SHORT) == (422, True), path


def test_thousands_of_query_parameters_are_one_fault_at_every_route(client: FlaskClient, app: flask.Flask) -> None:
    found = list(routes(app, "GET", "POST", "PATCH", "DELETE"))
    assert len(found) > 20
    for method, path in found:
        answer = client.open(path, method=method, query_string=MANY)
        assert (400 <= answer.status_code < 500, len(answer.data) < SHORT) == (True, True), path


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (PREDICT, {"inputs": MANY}, "inputs"),
        (PREDICT, {"inputs": GOOD, "options": MANY}, "options"),
        (f"{PREDICT}/batch", {"inputs": [GOOD, MANY]}, "inputs.1"),
        (f"{PREDICT}/batch", {"inputs": [GOOD], "options": MANY}, "options"),
        ("/api/v1/jobs", {"inputs": MANY}, "inputs"),
        ("/api/v1/jobs", {"inputs": [GOOD, MANY]}, "inputs.1"),
        ("/api/v1/jobs", {"inputs": GOOD, "options": MANY}, "options"),
        ("/api/v1/jobs", {"inputs": GOOD, "metadata": MANY}, "metadata"),
        ("/api/v1/jobs", {"inputs": GOOD, "webhook_url": "https://a.example", "webhook_events": [0] * 5000},
         "webhook_events"),
        ("/api/v1/webhooks", {"url": "https://a.example", "events": [0] * 5000}, "events"),
    ],
)  # fmt: skip
def test_an_object_or_a_list_with_thousands_in_it_is_one_fault(
    client: FlaskClient, path: str, body: dict[str, Any], field: str
) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.json["error"]["details"]["field"]) == (422, field)
    assert "errors" not in answer.json["error"]
    assert len(answer.data) < SHORT


def test_the_first_faults_are_told_and_how_many_there_are_besides(client: FlaskClient) -> None:
    inputs = {f"k{number}": 1 for number in range(SPARE_KEYS + 2)}
    error = client.post(PREDICT, json={"inputs": inputs}).json["error"]
    assert (len(error["errors"]), error["more"]) == (MAX_FAULTS, len(inputs) + 1 - MAX_FAULTS)
    assert error["details"] == error["errors"][0]
    assert "more" not in client.post(PREDICT, json={"inputs": {"text": 5, "colour": 1}}).json["error"]


@pytest.mark.usefixtures("quiet")
def test_a_thousand_bad_items_are_small_in_the_answer_and_beside_the_job(
    client: FlaskClient, platform: Platform
) -> None:
    bad = {f"{number}" * 1000: 1 for number in range(10)}
    body = {"inputs": [GOOD] + [bad] * 300, "options": {"return_errors": "individual"}}
    answer = client.post(f"{PREDICT}/batch", json=body)
    error = answer.json["predictions"][-1]["error"]
    assert set(error) == {"code", "message", "details", "more"}
    assert (error["more"], len(answer.data) < 300 * (MAX_NAME + 300)) == (10, True)
    assert client.post(f"{PREDICT}/batch", json={"inputs": body["inputs"]}).status_code == 422
    ticket = client.post(f"{PREDICT}/batch", json={**body, "model_version": "2.1.0"}, headers={"Prefer": "wait=0"})
    assert ticket.status_code == 202
    assert platform.one("SELECT max(length(options::text)) < 300 * 500 FROM jobs") == (True,)


def test_what_a_client_wrote_is_quoted_in_part(client: FlaskClient) -> None:
    long = "x" * 60
    for how in (
        {"json": {"inputs": {"k" * 100_000: 1}}},
        {"json": {"inputs": GOOD, "k" * 100_000: 1}},
        {"json": {"inputs": GOOD, "model_version": long}, "headers": {"X-Model-Version": "9" * 50_000}},
        {"json": {"inputs": GOOD}, "headers": {"X-Model-Version": "9" * 50_000}},
        {"json": {"inputs": GOOD}, "headers": {"Prefer": "wait=" + "9" * 50_000}},
        {"json": {"inputs": GOOD, "model": long}},
        {"json": {"inputs": GOOD}, "query_string": {"explain": "x" * 50_000}},
        {"json": {"inputs": GOOD}, "query_string": {"x" * 50_000: "1"}},
        {"data": b'{"inputs": ' + b"x" * 100_000, "content_type": "application/json"},
        {"json": {"inputs": GOOD}, "headers": {"Idempotency-Key": "x" * 50_000}},
        {"path": "/api/v1/" + "x" * 50_000},
    ):
        answer = client.open(**{"path": PREDICT, "method": "POST", **how})  # type: ignore[arg-type]
        assert (400 <= answer.status_code < 500, len(answer.data) < 2 * SHORT) == (True, True), list(how)


def test_a_list_loads_only_what_it_shows(client: FlaskClient, platform: Platform) -> None:
    made = client.post("/api/v1/jobs", json={"inputs": GOOD, "options": {"explain": "simple"}})
    job_id = uuid.UUID(made.json["job_id"].removeprefix("job_"))
    (tenant_id,) = platform.one("SELECT tenant_id FROM jobs WHERE id = :id", id=job_id)
    assert isinstance(tenant_id, uuid.UUID)
    page = queries.page(platform.engine, tenant_id, queries.Filters(), limit=10, cursor=None)
    assert [dict(job.options) for job in page.jobs] == [{}]
    assert queries.get(platform.engine, tenant_id, job_id).options == {"explain": "simple"}
    factories.add(platform, models.WebhookDelivery, tenant_id=tenant_id, body="long")
    (found,) = deliveries.page(platform.engine, tenant_id, {}, limit=10)[0]
    assert found.body == ""
    assert deliveries.get(platform.engine, tenant_id, found.id).body == "long"
