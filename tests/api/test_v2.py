"""What v2 says otherwise than v1: scores, models, times, links, lists and problems; and that v1 stays as it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

import api
from core import audit, errors, settings
from inference import bundle
from registry import lifecycle
from tests import factories, graphs
from tests.api.world import GOOD, HOOK
from tests.changed import changed
from tests.conftest import Platform
from tests.hands import work

pytestmark = pytest.mark.usefixtures("quiet")
XY = {"x": 2, "y": 1}
SENTIMENT = "/api/v2/models/sentiment"


@pytest.fixture
def name(platform: Platform, tmp_path: Path) -> Iterator[str]:
    """A model with two versions, of which the first is stable."""
    found = factories.unique("both").lower()
    for version in ("1.0.0", "2.1.0"):
        platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / version, name=found, version=version)))
    yield found
    platform.execute("DELETE FROM jobs WHERE model = :name", name=found)
    platform.execute("DELETE FROM models WHERE name = :name", name=found)


def test_a_prediction_has_all_scores_and_says_who_made_it_and_how_long_it_took(
    client: FlaskClient, platform: Platform
) -> None:
    old = client.post("/api/v1/predict?explain=true", json={"inputs": GOOD}).get_json()
    said = client.post("/api/v2/predict", json={"inputs": GOOD}).get_json()
    assert list(said) == ["prediction", "confidence", "scores", "model", "request_id", "timing"]
    assert said["scores"] == old["explanation"]["scores"]
    assert said["scores"][said["prediction"]] == said["confidence"] == max(said["scores"].values())
    digest = platform.one("SELECT digest FROM model_versions WHERE model = 'sentiment' AND version = '1.0.0'")[0]
    assert said["model"] == {
        "name": "sentiment",
        "version": "1.0.0",
        "route": "stable",
        "digest": digest,
        "links": {"self": f"{SENTIMENT}/versions/1.0.0", "model": SENTIMENT},
    }
    timing = said["timing"]
    assert min(timing.values()) >= 0
    assert timing["total_ms"] == pytest.approx(timing["queued_ms"] + timing["ran_ms"], abs=0.01)
    assert client.get(said["model"]["links"]["self"]).get_json()["digest"] == digest


def test_of_several_inputs_each_has_its_scores_or_its_error(client: FlaskClient) -> None:
    body = {"inputs": [GOOD, {"text": ""}], "options": {"return_errors": "individual"}}
    said = client.post("/api/v2/predict/batch", json=body).get_json()
    good, bad = said["predictions"]
    assert set(good) == {"prediction", "confidence", "scores"}
    assert bad["error"]["code"] == "INVALID_INPUT"
    assert (said["count"], said["failed"], said["model"]["version"]) == (2, 1, "1.0.0")
    assert said["timing"]["ran_ms"] > 0


@pytest.mark.parametrize("inputs", [GOOD, [GOOD, GOOD]])
def test_a_job_that_was_handed_in_by_one_version_is_followed_by_the_other(
    client: FlaskClient, platform: Platform, inputs: Any
) -> None:
    made = client.post("/api/v1/jobs", json={"inputs": inputs}).get_json()
    path = f"/api/v2/jobs/{made['job_id']}"
    waiting = client.get(path).get_json()
    assert waiting["timing"] == {"queued_ms": None, "ran_ms": None, "total_ms": None}
    work(platform)
    job = client.get(path).get_json()
    assert (job["model"]["version"], job["model"]["route"]) == ("1.0.0", "stable")
    assert job["links"]["self"] == path
    assert job["timing"]["total_ms"] == pytest.approx(job["timing"]["queued_ms"] + job["timing"]["ran_ms"], abs=0.01)
    result = client.get(job["links"]["result"]).get_json()
    assert result == job["result"]
    each = result["predictions"] if isinstance(inputs, list) else [result]
    assert all(item["scores"][item["prediction"]] == item["confidence"] for item in each)
    old = client.get(f"/api/v1/jobs/{made['job_id']}").get_json()
    assert old["model"] == "sentiment"
    assert "scores" not in str(old["result"])


def test_what_a_client_has_seen_of_one_version_is_not_what_it_has_seen_of_the_other(client: FlaskClient) -> None:
    path = client.post("/api/v1/jobs", json={"inputs": GOOD}).get_json()["job_id"]
    tags = [client.get(f"/api/{version}/jobs/{path}").headers["ETag"] for version in ("v1", "v2")]
    assert tags[0] != tags[1]
    for version, tag in zip(("v1", "v2"), tags, strict=True):
        assert client.get(f"/api/{version}/jobs/{path}", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(("first", "then"), [("v1", "v2"), ("v2", "v1")])
def test_an_idempotency_key_counts_in_both_versions_and_each_answers_in_its_own_shape(
    client: FlaskClient, platform: Platform, first: str, then: str
) -> None:
    once = {"Idempotency-Key": f"{first}-{then}"}
    asked: dict[str, Any] = {"inputs": GOOD}
    made = client.post(f"/api/{first}/jobs", json=asked, headers=once)
    again = client.post(f"/api/{then}/jobs", json=asked, headers=once)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.get_json()["job_id"] == made.get_json()["job_id"]
    assert again.headers["Location"] == f"/api/{then}/jobs/{made.get_json()['job_id']}"
    assert isinstance(again.get_json()["model"], dict) == (then == "v2")
    other = client.post(f"/api/{then}/jobs", json={"inputs": {"text": "Another"}}, headers=once)
    assert other.status_code == 422
    for path, inputs in (("predict", GOOD), ("predict/batch", [GOOD])):
        said = client.post(f"/api/{first}/{path}", json={"inputs": inputs}, headers=once).get_json()
        repeated = client.post(f"/api/{then}/{path}", json={"inputs": inputs}, headers=once)
        assert repeated.headers["Idempotent-Replayed"] == "true"
        assert repeated.get_json()["request_id"] == said["request_id"]
        twice = client.post(f"/api/v2/{path}", json={"inputs": inputs}, headers=once).get_json()
        assert twice["timing"]["total_ms"] > 0
        assert twice == client.post(f"/api/v2/{path}", json={"inputs": inputs}, headers=once).get_json()


def test_every_page_of_a_list_leads_to_the_next_one(client: FlaskClient) -> None:
    made = [client.post("/api/v2/jobs", json={"inputs": GOOD}).get_json()["job_id"] for _ in range(5)]
    seen, path = [], "/api/v2/jobs?limit=2&model=sentiment"
    while path:
        page = client.get(path).get_json()
        assert page["links"]["self"] == path
        seen += [item["job_id"] for item in page["items"]]
        path = page["links"]["next"]
    assert seen == made[::-1]
    for path in ("/api/v2/jobs", "/api/v2/models", "/api/v2/keys"):
        assert client.get(path).get_json()["links"] == {"self": path, "next": None}


def test_a_page_of_deliveries_leads_on_by_its_own_parameter(client: FlaskClient) -> None:
    made = client.post("/api/v2/webhooks", json={"url": HOOK, "events": ["job.completed"]}).get_json()["id"]
    for _ in range(3):
        client.post(f"/api/v2/webhooks/{made}/test")
    page = client.get(f"/api/v2/webhooks/{made}/deliveries?limit=2").get_json()
    rest = client.get(page["links"]["next"]).get_json()
    assert (len(page["items"]), len(rest["items"]), rest["links"]["next"]) == (2, 1, None)


def test_a_fault_is_a_problem_that_names_each_field(client: FlaskClient) -> None:
    answer = client.post("/api/v2/predict", json={"inputs": {"text": 1}, "model": 1, "x": 1})
    problem = answer.get_json()
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert (problem["code"], problem["title"], problem["status"]) == ("INVALID_INPUT", "Input validation failed", 422)
    assert {fault["field"] for fault in problem["errors"]} == {"model", "x"}
    one = client.post("/api/v2/predict", json={"inputs": {"text": ""}}).get_json()
    assert [fault["field"] for fault in one["errors"]] == ["text"]
    assert one["links"] == {"schema": f"{SENTIMENT}/versions/1.0.0"}
    file = client.post("/api/v2/predict", json={"model": "speech", "inputs": {}}).get_json()
    assert "POST /api/jobs" in file["errors"][0]["issue"]


def test_what_a_caller_wrote_is_told_as_they_wrote_it(client: FlaskClient) -> None:
    theirs = "/api/v1/jobs and /openapi/v1.json"
    first, second = (client.post(f"/api/{name}/predict", json={"inputs": GOOD, theirs: 1}) for name in ("v1", "v2"))
    assert first.get_json()["error"]["details"]["field"] == second.get_json()["errors"][0]["field"] == theirs
    first, second = (
        client.post(f"/api/{name}/predict", json={"inputs": GOOD, "model": theirs}) for name in ("v1", "v2")
    )
    assert theirs in first.get_data(as_text=True)
    assert theirs in second.get_data(as_text=True)


@pytest.mark.parametrize(("path", "version"), [("/api/v1/x", "v1"), ("/api/v2/x", "v2"), ("/x", "v1")])
def test_who_is_at_no_route_is_led_to_the_contract_of_their_version(
    client: FlaskClient, path: str, version: str
) -> None:
    said = client.get(path).get_json()
    message = said["detail"] if version == "v2" else said["error"]["message"]
    assert message == f"There is no such route: the contract, at /openapi/{version}.json, lists them all"


def test_a_deprecated_version_says_so_and_what_takes_its_place(
    platform: Platform, app: flask.Flask, client: FlaskClient, name: str
) -> None:
    ends = dt.datetime(2027, 5, 1, tzinfo=dt.UTC)
    lifecycle.deprecate(platform.engine, name, "2.1.0", audit.operator(), message="Use 1.0.0", sunset_at=ends)
    app.extensions["coatcheck"].catalog._forget()
    old, new = (f"/api/v2/models/{name}/versions/{version}" for version in ("2.1.0", "1.0.0"))
    said = client.post("/api/v2/predict", json={"model": name, "inputs": XY, "model_version": "2.1.0"})
    shown = client.get(old)
    for answer in (said, shown):
        assert answer.headers["Deprecation"].startswith("@")
        assert answer.headers["Sunset"] == "Sat, 01 May 2027 00:00:00 GMT"
        assert answer.headers["Link"] == f'<{new}>; rel="successor-version"; anchor="{old}"'
    deprecation = shown.get_json()["deprecation"]
    assert (deprecation["message"], deprecation["sunset_at"]) == ("Use 1.0.0", "2027-05-01T00:00:00+00:00")
    versions = client.get(f"/api/v2/models/{name}").get_json()["versions"]
    assert {item["version"]: item["deprecated"] for item in versions} == {"1.0.0": False, "2.1.0": True}
    assert client.get(new).get_json()["deprecation"] is None
    assert "Deprecation" not in client.get(new).headers
    before = client.post("/api/v1/predict", json={"model": name, "inputs": XY, "model_version": "2.1.0"})
    assert "Deprecation" in before.headers
    assert "Link" not in before.headers
    tensors = [{"name": name, "datatype": "FP64", "shape": [1], "data": [value]} for name, value in XY.items()]
    for number, version in (("2.1.0", said), ("1.0.0", client.get(new))):
        other = client.post(f"/v2/models/{name}/versions/{number}/infer", json={"inputs": tensors})
        assert other.status_code == 200
        for header in ("Deprecation", "Sunset"):
            assert other.headers.get(header) == version.headers.get(header)


def test_what_the_first_version_says_is_as_it_was_to_the_byte(client: FlaskClient) -> None:
    def asked(method: str, path: str, body: Any = None) -> tuple[str, list[str]]:
        answer = client.open(f"/api/v1/{path}", method=method, json=body, headers={"X-Request-ID": "req_x"})
        return answer.text, [header for header, _ in answer.headers]

    said, _ = asked("POST", "predict", {"inputs": GOOD})
    number = said.partition('"confidence":')[2].partition(",")[0]
    assert said == (
        f'{{"prediction":"positive","confidence":{number},"model":"sentiment","model_version":"1.0.0",'
        '"request_id":"req_x"}'
    )
    said, _ = asked("POST", "predict/batch", {"inputs": [GOOD]})
    assert said == (
        f'{{"predictions":[{{"prediction":"positive","confidence":{number}}}],"count":1,"failed":0,'
        '"model":"sentiment","model_version":"1.0.0","request_id":"req_x"}'
    )
    said, headers = asked("POST", "jobs", {"inputs": GOOD})
    job = said[len('{"job_id":"') :].partition('"')[0]
    assert said == (
        f'{{"job_id":"{job}","status":"pending","model":"sentiment","model_version":"1.0.0","links":{{'
        f'"self":"/api/v1/jobs/{job}","events":"/api/v1/jobs/{job}/events","cancel":"/api/v1/jobs/{job}/cancel"}},'
        '"request_id":"req_x"}'
    )
    assert headers[:6] == [
        "Content-Type",
        "Content-Length",
        "Location",
        "Retry-After",
        "X-Model-Version",
        "X-Model-Route",
    ]
    said, _ = asked("GET", f"jobs/{job}")
    assert list(client.get(f"/api/v1/jobs/{job}").get_json()) == [
        "job_id", "status", "progress", "model", "model_version", "priority", "attempt", "lost_count", "timeout_s",
        "cancel_requested", "metadata", "created_at", "started_at", "finished_at", "expires_at", "links", "timeline",
        "queue",
    ]  # fmt: skip
    assert list(client.get("/api/v1/jobs").get_json()) == ["jobs", "next_cursor"]
    assert list(client.get("/api/v1/usage").get_json()) == ["from", "to", "usage"]
    said, _ = asked("GET", "jobs/job_nope")
    moment = said.partition('"timestamp":"')[2][:20]
    assert said == (
        '{"error":{"code":"JOB_NOT_FOUND","message":"No such job","details":{},"request_id":"req_x",'
        f'"timestamp":"{moment}"}}}}'
    )


def test_once_its_end_is_decided_each_answer_of_the_first_version_says_so_and_leads_to_the_second(
    platform: Platform, client: FlaskClient
) -> None:
    since, until = dt.datetime(2027, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 7, 1, tzinfo=dt.UTC)
    app = api.create_app(changed(platform.settings, v1_deprecated_at=since, v1_sunset_at=until))
    ended = app.test_client()
    ended.environ_base["HTTP_AUTHORIZATION"] = client.environ_base["HTTP_AUTHORIZATION"]
    asked: dict[str, Any] = {"headers": {"X-Request-ID": "req_x"}}
    for path in ("/api/v1/models", "/api/models", "/api/v1/jobs/job_nope", "/api/v1/nothing", "/api/v1/a%3Fb%3E%0A"):
        answer, before = ended.get(path, **asked), client.get(path, **asked)
        assert answer.headers["Deprecation"] == "@1798761600"
        assert answer.headers["Sunset"] == "Thu, 01 Jul 2027 00:00:00 GMT"
        successor = path.replace("/v1/", "/").replace("/api/", "/api/v2/")
        assert answer.headers["Link"] == f'<{successor}>; rel="successor-version"'
        assert list(answer.get_json()) == list(before.get_json())
        assert "Deprecation" not in before.headers
    for path in ("/api/v2/models", "/docs", "/healthz", "/openapi/v1.json", "/nothing"):
        other = ended.get(path)
        other.close()
        assert not {"Deprecation", "Sunset", "Link"} & set(other.headers.keys()), path
    app.extensions["coatcheck"].close()


def test_an_end_before_it_is_deprecated_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COATCHECK_V1_DEPRECATED_AT", "2027-01-01T00:00:00Z")
    monkeypatch.setenv("COATCHECK_V1_SUNSET_AT", "2026-12-31T00:00:00Z")
    with pytest.raises(errors.SettingsInvalid, match="COATCHECK_V1_SUNSET_AT is before"):
        settings.load()
