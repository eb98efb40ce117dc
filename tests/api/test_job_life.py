from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import orjson
import pytest
from flask.testing import FlaskClient

import api
from access import tiers
from core import ids
from tests import callers
from tests.conftest import Platform, until
from tests.hands import SAID, clean_up, complete, lose, take, took, work

JOBS = "/api/v1/jobs"
GOOD = {"inputs": {"text": "Great"}}
pytestmark = pytest.mark.usefixtures("quiet")


def submit(client: FlaskClient, **fields: Any) -> str:
    answer = client.post(JOBS, json={**GOOD, **fields})
    assert answer.status_code == 202, answer.get_json()
    return str(answer.get_json()["job_id"])


def events(client: FlaskClient, job_id: str, last: str | None = None) -> list[dict[str, str]]:
    headers = {} if last is None else {"Last-Event-ID": last}
    answer = client.get(f"{JOBS}/{job_id}/events", headers=headers)
    assert answer.status_code == 200, answer.get_json()
    assert (answer.mimetype, answer.headers["X-Accel-Buffering"]) == ("text/event-stream", "no")
    blocks = [block for block in answer.get_data(as_text=True).split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def test_events_tell_the_whole_life_and_the_terminal_one_is_last(client: FlaskClient, platform: Platform) -> None:
    job_id = submit(client)
    took(platform)
    lose(platform)
    work(platform)
    found = events(client, job_id)
    assert [event["event"] for event in found] == ["pending", "processing", "pending", "processing", "completed"]
    data = [orjson.loads(event["data"]) for event in found]
    # What is not known of an event is left out; all else has the names that the contract gives it.
    always = {"job_id", "event", "at", "progress", "attempt"}
    more = [set(), {"batch_size"}, {"error"}, {"batch_size"}, {"run_ms"}]
    assert all(always | own <= item.keys() <= always | own | {"error"} for item, own in zip(data, more, strict=True))
    assert [item["event"] for item in data] == [event["event"] for event in found]
    assert {item["job_id"] for item in data} == {job_id}
    timeline = client.get(f"{JOBS}/{job_id}").get_json()["timeline"]
    named = ("event", "attempt", "batch_size", "run_ms", "error")
    assert [{name: item[name] for name in named if name in item} for item in data] == [
        {"attempt": 0, **{name: moment[name] for name in named if name in moment}} for moment in timeline
    ]
    # Postgres leaves out zeros at the end of a second's fraction.
    at, as_told = ([dt.datetime.fromisoformat(item["at"]) for item in told] for told in (data, timeline))
    assert at == as_told
    assert [item["attempt"] for item in data] == [0, 1, 1, 2, 2]
    assert data[2]["error"]["code"] == "WORKER_LOST"
    assert [item["progress"] for item in data] == [0, 0, 0, 0, 100]
    assert [int(event["id"]) for event in found] == sorted({int(event["id"]) for event in found})


def test_events_go_on_after_the_last_one_seen(client: FlaskClient, platform: Platform) -> None:
    job_id = submit(client)
    work(platform)
    found = events(client, job_id)
    assert events(client, job_id, last=found[1]["id"]) == found[2:]
    assert events(client, job_id, last=found[-1]["id"]) == []


def test_an_open_stream_hears_what_happens_while_it_is_open(client: FlaskClient, platform: Platform) -> None:
    job_id = submit(client)
    timer = threading.Timer(0.5, work, [platform])
    timer.start()
    assert [event["event"] for event in events(client, job_id)] == ["pending", "processing", "completed"]
    timer.join()


@pytest.mark.parametrize("last", ["x", "-1", "", "9" * 18, "1 OR 1=1", "9" * 400])
def test_an_event_id_that_is_none_is_refused(client: FlaskClient, last: str) -> None:
    answer = client.get(f"{JOBS}/{submit(client)}/events", headers={"Last-Event-ID": last})
    assert answer.status_code == 422
    details = answer.get_json()["error"]["details"]
    assert (details["field"], details["received"]) == ("Last-Event-ID", last[:40])


def test_an_event_id_of_another_job_is_refused(client: FlaskClient, platform: Platform) -> None:
    job_id, other = submit(client), submit(client)
    work(platform)
    last = events(client, other)[-1]["id"]
    answer = client.get(f"{JOBS}/{job_id}/events", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.get_json()["error"]["details"]["field"]) == (422, "Last-Event-ID")


def test_an_unchanged_job_is_304_and_a_changed_one_is_not(client: FlaskClient, platform: Platform) -> None:
    job_id = submit(client)
    first = client.get(f"{JOBS}/{job_id}")
    # Weak: where it stands in the queue is no part of it.
    assert first.headers["ETag"].startswith('W/"')
    headers = {"If-None-Match": first.headers["ETag"]}
    unchanged = client.get(f"{JOBS}/{job_id}", headers=headers)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    work(platform)
    assert client.get(f"{JOBS}/{job_id}", headers=headers).get_json()["status"] == "completed"


def test_the_timeline_says_when_it_was_accepted_claimed_with_how_many_and_how_long_it_ran(
    client: FlaskClient, platform: Platform
) -> None:
    job_id, _ = submit(client), submit(client)
    work(platform)
    timeline = client.get(f"{JOBS}/{job_id}").get_json()["timeline"]
    assert [moment["event"] for moment in timeline] == ["pending", "processing", "completed"]
    assert (timeline[1]["batch_size"], timeline[2]["run_ms"]) == (2, 3)
    assert [moment["at"] for moment in timeline] == sorted(moment["at"] for moment in timeline)


def test_a_lost_attempt_is_told_as_last_error_and_is_gone_when_the_job_completes(
    client: FlaskClient, platform: Platform
) -> None:
    job_id = submit(client)
    took(platform)
    lose(platform)
    job = client.get(f"{JOBS}/{job_id}").get_json()
    assert (job["status"], job["lost_count"], job["last_error"]["code"]) == ("pending", 1, "WORKER_LOST")
    work(platform)
    assert "last_error" not in client.get(f"{JOBS}/{job_id}").get_json()


def test_the_result_alone_has_its_own_address_once_it_is_there(client: FlaskClient, platform: Platform) -> None:
    job_id = submit(client)
    early = client.get(f"{JOBS}/{job_id}/result")
    assert (early.status_code, early.get_json()["error"]["details"]["issue"]) == (409, "is pending")
    work(platform)
    assert client.get(f"{JOBS}/{job_id}/result").get_json() == {
        "prediction": SAID.label,
        "confidence": SAID.confidence,
    }


def test_an_ended_job_can_be_handed_in_again_as_a_new_one(client: FlaskClient, platform: Platform) -> None:
    old = submit(client, metadata={"order": 7}, priority="low", timeout_s=9)
    refused = client.post(f"{JOBS}/{old}/retry")
    assert (refused.status_code, refused.get_json()["error"]["details"]["issue"]) == (409, "is pending")
    client.post(f"{JOBS}/{old}/cancel")
    ticket = client.post(f"{JOBS}/{old}/retry")
    assert ticket.status_code == 202
    new = client.get(ticket.headers["Location"]).get_json()
    assert (new["retry_of"], new["status"], new["metadata"]) == (old, "pending", {"order": 7})
    assert (new["priority"], new["timeout_s"]) == ("low", 9)
    work(platform)
    assert client.get(ticket.headers["Location"]).get_json()["status"] == "completed"
    assert client.get(f"{JOBS}/{old}").get_json()["status"] == "canceled"


def test_who_may_have_no_more_jobs_waiting_hands_none_in_again(app: flask.Flask, platform: Platform) -> None:
    client = app.test_client()
    key = callers.key(platform, tier=callers.tier(platform, max_pending=1))
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    old = submit(client)
    client.post(f"{JOBS}/{old}/cancel")
    # The count of what waits may be a second old.
    until(lambda: client.post(JOBS, json={"inputs": {"text": "Lovely"}}).status_code == 202)
    answer = until(lambda: (found := client.post(f"{JOBS}/{old}/retry")).status_code == 429 and found)
    assert answer.get_json()["error"]["code"] == "BACKLOG_FULL"


@pytest.mark.parametrize(
    ("has", "less", "field"),
    [
        ({"priority": "high"}, {"priorities": ["normal"]}, "priority"),
        ({"expires_in_s": 61}, {"max_ttl_s": 60}, "expires_in_s"),
        ({"timeout_s": 301}, {"max_run_s": 10}, "timeout_s"),
    ],
)
def test_what_the_tier_does_not_offer_any_more_is_not_had_by_handing_in_again(
    app: flask.Flask, platform: Platform, has: dict[str, Any], less: dict[str, Any], field: str
) -> None:
    tier = callers.tier(platform)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {callers.key(platform, tier=tier).token}"
    old, other = submit(client, **has), submit(client)
    for job_id in (old, other):
        client.post(f"{JOBS}/{job_id}/cancel")
    tiers.change(platform.engine, tier, less)
    until(lambda: client.post(f"{JOBS}/{old}/retry").status_code == 422)
    answer = client.post(f"{JOBS}/{old}/retry").get_json()
    assert answer["error"]["details"]["field"] == field
    # How long a run may take is the platform's to say as well.
    assert ("at most 10" if field == "timeout_s" else tier) in answer["error"]["details"]["issue"]
    again = client.post(f"{JOBS}/{other}/retry")
    assert again.status_code == (422 if field == "expires_in_s" else 202)
    # Who said nothing of it has as much as it would have now.
    if field == "timeout_s":
        new = ids.parse_job_id(again.get_json()["job_id"])
        assert platform.one("SELECT timeout_s FROM jobs WHERE id = :id", id=new) == (10,)


def test_a_job_that_was_not_done_in_time_says_so(client: FlaskClient, platform: Platform) -> None:
    job_id = submit(client, expires_in_s=1)
    platform.execute("UPDATE jobs SET expires_at = now()")
    clean_up(platform)
    job = client.get(f"{JOBS}/{job_id}").get_json()
    assert (job["status"], job["error"]["code"]) == ("expired", "EXPIRED")
    assert client.post(f"{JOBS}/{job_id}/cancel").status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"priority": "high"}, "priority"),
        ({"expires_in_s": 86_401}, "expires_in_s"),
        ({"timeout_s": 3601}, "timeout_s"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": 1.5}, "timeout_s"),
        ({"timeout_s": True}, "timeout_s"),
    ],
)
def test_what_the_tier_does_not_offer_is_refused_by_name(
    app: flask.Flask, platform: Platform, body: dict[str, Any], field: str
) -> None:
    _, key = platform.new_tenant("free")
    answer = app.test_client().post(JOBS, json={**GOOD, **body}, headers={"X-API-Key": key})
    assert answer.status_code == 422
    assert answer.get_json()["error"]["details"]["field"] == field


def test_a_full_backlog_is_429_and_says_when_to_come_back(client: FlaskClient, platform: Platform) -> None:
    platform.execute("UPDATE tiers SET max_pending = 2 WHERE name = 'free'")
    try:
        _, key = platform.new_tenant("free")
        answers = [client.post(JOBS, json=GOOD, headers={"Authorization": f"Bearer {key}"}) for _ in range(3)]
    finally:
        platform.execute("UPDATE tiers SET max_pending = 10000 WHERE name = 'free'")
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].get_json()["error"]["code"] == "BACKLOG_FULL"
    assert answers[2].headers["Retry-After"]


def test_cancel_racing_claims_and_completions_leaves_exactly_one_terminal_state(
    client: FlaskClient, platform: Platform
) -> None:
    ids = [submit(client) for _ in range(1000)]

    def cancel(job_id: str) -> int:
        fresh = client.application.test_client()
        fresh.environ_base.update(client.environ_base)
        return fresh.post(f"{JOBS}/{job_id}/cancel").status_code

    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(cancel, job_id) for job_id in reversed(ids)]
        while batch := take(platform):
            complete(platform, list(batch.jobs))
        assert {answer.result() for answer in answers} == {200, 409}
    while batch := take(platform):
        complete(platform, list(batch.jobs))
    ends = {str(row[0]) for row in platform.rows("SELECT DISTINCT status FROM jobs")}
    assert ends == {"completed", "canceled"}
    terminal = "SELECT job_id, count(*) FROM job_events WHERE type IN ('completed', 'canceled') GROUP BY job_id"
    assert [row[1] for row in platform.rows(terminal)] == [1] * len(ids)


def test_an_app_made_anew_answers_the_same_key_with_the_same_job(client: FlaskClient, platform: Platform) -> None:
    headers = {"Idempotency-Key": '"order 17"'}
    first = client.post(JOBS, json=GOOD, headers=headers)
    other = api.create_app(platform.settings).test_client()
    other.environ_base.update(client.environ_base)
    second = other.post(JOBS, json=GOOD, headers=headers)
    assert second.get_json() == first.get_json()
    assert (second.status_code, second.headers["Idempotent-Replayed"]) == (202, "true")
    assert second.headers["Location"] == first.headers["Location"]
    other.application.extensions["coatcheck"].close()


def test_fifty_at_once_with_one_key_are_one_job(client: FlaskClient, platform: Platform) -> None:
    def post(_: int) -> tuple[int, str]:
        fresh = client.application.test_client()
        fresh.environ_base.update(client.environ_base)
        answer = fresh.post(JOBS, json=GOOD, headers={"Idempotency-Key": "k"})
        return answer.status_code, answer.get_json().get("job_id")

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(post, range(50)))
    assert len(answers) == 1
    assert platform.one("SELECT count(*) FROM jobs") == (1,)


def test_another_body_under_the_same_key_is_422(client: FlaskClient) -> None:
    for path, body, other in (
        (JOBS, GOOD, {"inputs": {"text": "Bad"}}),
        ("/api/v1/predict", GOOD, {"inputs": {"text": "Bad"}}),
        ("/api/v1/predict/batch", {"inputs": [{"text": "a"}]}, {"inputs": [{"text": "b"}]}),
    ):
        assert client.post(path, json=body, headers={"Idempotency-Key": "k"}).status_code in (200, 202)
        answer = client.post(path, json=other, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_an_inline_prediction_is_answered_again_word_for_word(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first, second = (client.post("/api/v1/predict", json=GOOD, headers=headers) for _ in range(2))
    assert first.get_json() == second.get_json()
    assert ("Idempotent-Replayed" in first.headers, second.headers["Idempotent-Replayed"]) == (False, "true")


def test_a_refused_request_leaves_its_key_free(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "k"}
    assert client.post(JOBS, json={"inputs": {"text": ""}}, headers=headers).status_code == 422
    assert client.post(JOBS, json=GOOD, headers=headers).status_code == 202


def test_a_prediction_through_a_job_is_one_job_for_one_key(client: FlaskClient, platform: Platform) -> None:
    body = {**GOOD, "model_version": "2.1.0"}
    headers = {"Idempotency-Key": "k", "Prefer": "wait=0"}
    tickets = [client.post("/api/v1/predict", json=body, headers=headers) for _ in range(2)]
    assert [ticket.status_code for ticket in tickets] == [202, 202]
    assert len({ticket.get_json()["job_id"] for ticket in tickets}) == 1
    work(platform)
    assert client.post("/api/v1/predict", json=body, headers=headers).get_json()["prediction"] == "positive"


@pytest.mark.parametrize("key", ["", " ", "é", "x" * 256, '"open', "a\tb"])
def test_odd_keys_are_refused(client: FlaskClient, key: str) -> None:
    answer = client.post(JOBS, json=GOOD, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.get_json()["error"]["details"]["field"] == "Idempotency-Key"
