from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import Platform
from tests.hands import work

JOBS = "/api/v1/jobs"
GOOD = {"inputs": {"text": "Great"}}
pytestmark = pytest.mark.usefixtures("quiet")


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else []


def submit(client: FlaskClient, **fields: Any) -> str:
    answer = client.post(JOBS, json={**GOOD, **fields})
    assert answer.status_code == 202, answer.get_json()
    return str(answer.get_json()["job_id"])


def test_a_ticket_says_where_to_look(client: FlaskClient) -> None:
    answer = client.post(JOBS, json={**GOOD, "metadata": {"order": "A\u0000\U0001f600"}})
    ticket = answer.get_json()
    assert (answer.status_code, ticket["status"]) == (202, "pending")
    assert answer.headers["Location"] == f"{JOBS}/{ticket['job_id']}"
    assert answer.headers["Retry-After"] == "1"
    job = client.get(answer.headers["Location"]).get_json()
    assert (job["status"], job["progress"], job["metadata"]) == ("pending", 0, {"order": "A\u0000\U0001f600"})


def test_waiting_answers_as_soon_as_the_job_ends(client: FlaskClient, platform: Platform) -> None:
    job_id = submit(client, options={"explain": "simple"})
    timer = threading.Timer(0.3, work, [platform])
    timer.start()
    job = client.get(f"{JOBS}/{job_id}?wait=30").get_json()
    timer.join()
    assert (job["status"], job["progress"]) == ("completed", 100)
    assert job["result"]["prediction"] == "positive"
    assert job["result"]["explanation"]["scores"]["positive"] == 0.9
    assert job["finished_at"] >= job["started_at"] >= job["created_at"]


def test_a_ticket_says_where_the_job_can_be_seen_followed_and_canceled(client: FlaskClient) -> None:
    answer = client.post(JOBS, json=GOOD, headers={"X-Request-ID": "mine"})
    path = answer.headers["Location"]
    assert answer.get_json() == {
        "job_id": path.rpartition("/")[2],
        "status": "pending",
        "model": "sentiment",
        "model_version": "1.0.0",
        "links": {"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"},
        "request_id": "mine",
    }
    assert client.post(answer.get_json()["links"]["cancel"]).get_json()["status"] == "canceled"


@pytest.mark.parametrize(
    "events",
    [
        None,
        ["job.failed", "job.progress"],
        ["job.progress", "job.completed", "job.failed", "job.canceled", "job.expired"],
    ],
)
def test_a_jobs_own_receiver_is_told_of_what_was_asked_for_or_of_its_end(
    client: FlaskClient, platform: Platform, events: list[str] | None
) -> None:
    asked = {"webhook_events": events} if events else {}
    client.post(JOBS, json={**GOOD, "webhook_url": "https://receiver.example/", **asked})
    ends = ["job.completed", "job.failed", "job.canceled", "job.expired"]
    assert platform.one("SELECT webhook_events FROM jobs")[0] == (events or ends)


def test_another_tenants_job_looks_like_a_missing_one(client: FlaskClient, platform: Platform) -> None:
    job_id = submit(client)
    _, other = platform.new_tenant()
    headers = {"Authorization": f"Bearer {other}"}
    missing = client.get(f"{JOBS}/job_{'0' * 32}", headers=headers).get_json()["error"]
    for answer in (
        client.get(f"{JOBS}/{job_id}", headers=headers),
        client.post(f"{JOBS}/{job_id}/cancel", headers=headers),
    ):
        assert answer.status_code == 404
        assert answer.get_json()["error"]["code"] == missing["code"] == "JOB_NOT_FOUND"
        assert answer.get_json()["error"]["message"] == missing["message"]
    assert client.get(JOBS, headers=headers).get_json()["jobs"] == []


def test_a_canceled_job_stays_canceled(client: FlaskClient) -> None:
    job_id = submit(client)
    assert client.post(f"{JOBS}/{job_id}/cancel").get_json()["status"] == "canceled"
    again = client.post(f"{JOBS}/{job_id}/cancel")
    assert (again.status_code, again.get_json()["status"]) == (200, "canceled")


def test_a_completed_job_cannot_be_canceled(client: FlaskClient, platform: Platform) -> None:
    job_id = submit(client)
    work(platform)
    answer = client.post(f"{JOBS}/{job_id}/cancel")
    assert answer.status_code == 409
    assert "completed" in answer.get_json()["error"]["message"]


def test_pages_are_stable_while_new_jobs_arrive(client: FlaskClient) -> None:
    old = [submit(client) for _ in range(5)]
    first = client.get(f"{JOBS}?limit=3").get_json()
    submit(client)
    second = client.get(f"{JOBS}?limit=3&cursor={first['next_cursor']}").get_json()
    assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == old[::-1]
    assert second["next_cursor"] is None


def test_jobs_are_filtered_by_status_and_model(client: FlaskClient, platform: Platform) -> None:
    done = submit(client)
    work(platform)
    submit(client)
    assert [job["job_id"] for job in client.get(f"{JOBS}?status=completed").get_json()["jobs"]] == [done]
    assert client.get(f"{JOBS}?model=tumor").get_json()["jobs"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"inputs": []}, "inputs"),
        ({"inputs": [{"text": "a"}, {"text": ""}]}, "inputs.1.text"),
        ({"inputs": None}, "inputs"),
        ({**GOOD, "priority": "urgent"}, "priority"),
        ({**GOOD, "expires_in_s": 0}, "expires_in_s"),
        ({**GOOD, "expires_in_s": 10**9}, "expires_in_s"),
        ({**GOOD, "expires_in_s": "60"}, "expires_in_s"),
        ({**GOOD, "metadata": {"a": "x" * 5000}}, "metadata"),
        ({**GOOD, "metadata": []}, "metadata"),
        ({**GOOD, "metadata": {"a": 2**64}}, "body"),
        ({**GOOD, "metadata": {"a": -(2**63) - 1}}, "body"),
        ({"inputs": [{"text": "a"}, 7]}, "inputs.1"),
        ({**GOOD, "webhook_url": "http://example.com"}, "webhook_url"),
        *(
            ({**GOOD, "webhook_url": "https://example.com", "webhook_events": ["job.failed"] * times}, "webhook_events")
            for times in (2, 6)
        ),
    ],
)
def test_a_bad_job_is_refused_by_the_name_of_its_fault(client: FlaskClient, body: dict[str, Any], field: str) -> None:
    answer = client.post(JOBS, data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 422
    assert answer.get_json()["error"]["details"]["field"] == field
    assert client.get(JOBS).get_json()["jobs"] == []


def test_metadata_comes_back_as_it_went_in(client: FlaskClient) -> None:
    metadata = {"deep": nested(60), "big": 2**64 - 1, "small": -(2**63), "digits": "1" * 40}
    job_id = submit(client, metadata=metadata)
    assert client.get(f"{JOBS}/{job_id}").get_json()["metadata"] == metadata
    assert client.get(JOBS).get_json()["jobs"][0]["metadata"] == metadata


@pytest.mark.parametrize(
    "query", ["wait=31", "wait=1_0", "wait=%D9%A1", "wait=1&wait=1", "wait=-1", "wait=soon", "wait=nan", "colour=1"]
)
def test_odd_waits_are_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"{JOBS}/job_{'0' * 32}?{query}").status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=1_0",
        "limit=%201",
        "limit=%D9%A1",
        "limit=1&limit=2",
        "cursor=x",
        "cursor=%00",
        "status=done",
        "status=failed&status=failed",
        "created_after=yesterday",
        "model=%00",
    ],
)
def test_odd_listings_are_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"{JOBS}?{query}").status_code == 422


@pytest.mark.parametrize("job_id", ["1", "job_", "job_" + "g" * 32, "job_" + "0" * 33, "%00", "job_" + "\uff10" * 32])
def test_ids_that_cannot_exist_do_not(client: FlaskClient, job_id: str) -> None:
    assert client.get(f"{JOBS}/{job_id}").status_code == 404
