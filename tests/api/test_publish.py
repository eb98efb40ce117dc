"""Models that are published over HTTP, by a key that may, and by no other."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy

from access import keys
from core import audit, metrics
from jobs.drain import Drainer
from jobs.lease import Held
from registry import lifecycle
from tests import callers, factories
from tests.bulk.conftest import post_file
from tests.conftest import Platform, until
from tests.hands import clean_up, took
from tests.publisher import TAR, Publisher, made

ROW = {"x": 2, "y": 1}


@pytest.fixture
def publisher(platform: Platform, app: flask.Flask, drainer: Drainer, tmp_path: Path) -> Iterator[Publisher]:
    def work() -> None:
        while drainer.drain("cpu", "wake"):
            pass

    with made(platform, app, tmp_path, work) as found:
        yield found


@pytest.fixture
def name() -> str:
    return f"m{uuid.uuid4().hex}"


def test_what_was_uploaded_answers_and_the_job_says_what_it_is(publisher: Publisher, name: str) -> None:
    data = publisher.tar(name=name)
    ticket = publisher.ask(data, name)
    assert (ticket.json["model"], ticket.json["model_version"], ticket.json["status"]) == (name, "1.0.0", "pending")
    job = publisher.job(ticket)
    assert job["status"] == "completed", job
    digest = job["result"].pop("digest")
    assert job["result"] == {"model": name, "version": "1.0.0", "new": True, "stable": True}
    assert publisher.client.get(f"/api/v1/models/{name}/versions/1.0.0").json["digest"] == digest
    assert f"bundles/{digest}.tar" in publisher.stored()
    assert [moment["event"] for moment in job["timeline"]] == ["pending", "processing", "completed"]
    said = publisher.client.post("/api/v1/predict", json={"model": name, "inputs": ROW}).json
    assert (said["prediction"], said["model_version"]) == ("a", "1.0.0")
    listed = publisher.client.get(f"/api/v1/jobs?model={name}").json["jobs"]
    assert [found["job_id"] for found in listed] == [job["job_id"]]


def test_the_same_again_is_there_already_and_other_contents_are_refused(publisher: Publisher, name: str) -> None:
    data = publisher.tar(name=name)
    assert publisher.publish(data, name)["result"]["new"]
    assert not publisher.publish(data, name)["result"]["new"]
    before = publisher.stored()
    job = publisher.publish(publisher.tar(name=name, summary="Another"), name)
    assert job["error"]["code"] == "BUNDLE_INVALID"
    assert job["error"]["message"] == f"{name} 1.0.0 is already published with other contents"
    assert job["error"]["details"]["published_digest"]
    assert publisher.stored() == before


@pytest.mark.parametrize("stable", [False, True])
def test_a_later_version_answers_by_default_where_that_was_asked_for(
    publisher: Publisher, name: str, stable: bool
) -> None:
    publisher.publish(publisher.tar(name=name), name)
    job = publisher.publish(publisher.tar(name=name, version="2.0.0"), name, version="2.0.0", stable=stable)
    assert job["result"]["stable"] is stable
    wanted = "2.0.0" if stable else "1.0.0"
    until(lambda: publisher.client.get(f"/api/v1/models/{name}").json["stable_version"] == wanted)
    by = "SELECT DISTINCT actor FROM audit WHERE object = :object"
    mine = "SELECT 'key:' || key_id FROM jobs WHERE model = :name LIMIT 1"
    assert publisher.platform.rows(by, object=f"model:{name}") == publisher.platform.rows(mine, name=name)


def test_of_two_contents_of_one_version_at_once_one_is_published_and_nothing_is_left_of_the_other(
    publisher: Publisher, name: str
) -> None:
    before = publisher.stored()
    asked = [publisher.ask(publisher.tar(name=name, summary=f"Number {number}"), name) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: publisher.work(), range(2)))
    jobs = [publisher.job(answer) for answer in asked]
    assert sorted(job["status"] for job in jobs) == ["completed", "failed"]
    (digest,) = [job["result"]["digest"] for job in jobs if job["status"] == "completed"]
    assert publisher.stored() - before == {f"bundles/{digest}.tar"}


def test_of_the_same_twice_at_once_one_is_new(publisher: Publisher, name: str) -> None:
    data = publisher.tar(name=name)
    asked = [publisher.ask(data, name) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: publisher.work(), range(2)))
    assert sorted(publisher.job(answer)["result"]["new"] for answer in asked) == [False, True]


def test_it_waits_no_longer_than_its_tier_allows_and_may_take_as_long_as_any_job(
    publisher: Publisher, platform: Platform, app: flask.Flask, name: str
) -> None:
    key = callers.key(platform, tier=callers.tier(platform, max_ttl_s=60), scopes=keys.CLIENT | {keys.MODELS})
    other = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    dataclasses.replace(publisher, client=other).ask(publisher.tar(name=name), name)
    job = platform.one("SELECT expires_at - created_at, timeout_s FROM jobs WHERE model = :name", name=name)
    assert job == (dt.timedelta(seconds=60), platform.settings.queue.max_run_timeout_s)


def test_a_key_stands_for_the_publication_of_one_version(publisher: Publisher, name: str) -> None:
    body = {"model": name, "version": "1.0.0", "upload_id": publisher.upload(publisher.tar(name=name))}
    once = {"Idempotency-Key": name}
    assert publisher.client.post("/api/v1/models", json=body, headers=once).status_code == 202
    other = publisher.client.post("/api/v1/models", json={**body, "version": "2.0.0"}, headers=once)
    assert (other.status_code, other.json["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_what_is_not_what_was_said_of_its_upload_is_not_published(publisher: Publisher, name: str) -> None:
    data, said = (publisher.tar(name=name, summary=text) for text in ("The one", "Another"))
    upload = {"content_type": TAR, "size": len(data), "sha256": hashlib.sha256(said).hexdigest()}
    opened = publisher.client.post("/api/v1/uploads", json=upload).json
    # A store that does not look at it either.
    publisher.platform.store.client.put_object(Bucket="coatcheck", Key=opened["fields"]["key"], Body=data)
    body = {"model": name, "version": "1.0.0", "upload_id": opened["upload_id"]}
    answer = publisher.client.post("/api/v1/models", json=body)
    assert answer.status_code == 202, answer.text
    assert publisher.job(answer)["error"]["code"] == "INPUT_CHANGED"
    assert publisher.client.get(f"/api/v1/models/{name}").status_code == 404


def test_a_key_that_may_not_publish_may_not_even_upload_a_bundle(
    publisher: Publisher, app: flask.Flask, platform: Platform, name: str
) -> None:
    upload_id = publisher.upload(publisher.tar(name=name))
    other = app.test_client()
    key = callers.key(platform, scopes=keys.SCOPES - {keys.MODELS})
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    body = {"model": name, "version": "1.0.0", "upload_id": upload_id}
    for answer in (
        other.post("/api/v1/models", json=body),
        other.post("/api/v1/uploads", json={"content_type": TAR, "size": 1}),
    ):
        assert answer.status_code == 403
        assert answer.json["error"]["message"] == "This API key does not have the scope 'models:write'"


def test_anothers_upload_is_not_there(publisher: Publisher, app: flask.Flask, platform: Platform, name: str) -> None:
    upload_id = publisher.upload(publisher.tar(name=name))
    other = app.test_client()
    key = callers.key(platform, scopes=keys.CLIENT | {keys.MODELS})
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    answer = other.post("/api/v1/models", json={"model": name, "version": "1.0.0", "upload_id": upload_id})
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "UPLOAD_NOT_FOUND")


def test_an_upload_of_rows_is_no_bundle_and_a_bundle_is_no_rows(publisher: Publisher, name: str) -> None:
    place = publisher.client.post("/api/v1/uploads", json={"content_type": "text/csv", "size": 2}).json
    post_file(place["url"], place["fields"], b"x\n", "text/csv")
    body = {"model": name, "version": "1.0.0", "upload_id": place["upload_id"]}
    answer = publisher.client.post("/api/v1/models", json=body)
    assert answer.status_code == 422
    assert answer.json["error"]["details"] == {
        "field": "upload_id", "issue": "is text/csv; a bundle is application/x-tar",
    }  # fmt: skip
    upload_id = publisher.upload(publisher.tar(name=name))
    answer = publisher.client.post("/api/v1/jobs", json={"model": "sentiment", "upload_id": upload_id})
    assert (answer.status_code, answer.json["error"]["details"]["field"]) == (422, "upload_id")


def test_a_bundle_that_says_it_is_another_is_not_published(publisher: Publisher, name: str) -> None:
    job = publisher.publish(publisher.tar(name=name), f"{name}-x")
    assert job["error"]["message"] == f"model.yaml: name is {name}, but {name}-x was to be published"
    job = publisher.publish(publisher.tar(name=name), name, version="1.0.1")
    assert job["error"]["message"] == "model.yaml: version is 1.0.0, but 1.0.1 was to be published"
    assert publisher.client.get(f"/api/v1/models/{name}").status_code == 404


@pytest.mark.parametrize(
    ("model", "version", "field"),
    [("Churn", "1.0.0", "model"), ("", "1.0.0", "model"), ("../x", "1.0.0", "model"), ("a\n", "1.0.0", "model"),
     ("churn", "1.0", "version"), ("churn", "v1.0.0", "version"), ("churn", "1.0.0\n", "version")],
)  # fmt: skip
def test_a_name_that_no_model_may_have_is_refused_by_the_field(
    publisher: Publisher, model: str, version: str, field: str
) -> None:
    body = {"model": model, "version": version, "upload_id": "upl_" + "0" * 32}
    answer = publisher.client.post("/api/v1/models", json=body)
    details = answer.json["error"]["details"]
    assert (answer.status_code, details["field"]) == (422, field)
    assert details["received"] == {"model": model, "version": version}[field]


def test_a_key_for_once_gets_the_same_job(publisher: Publisher, name: str) -> None:
    body = {"model": name, "version": "1.0.0", "upload_id": publisher.upload(publisher.tar(name=name))}
    first, again = (
        publisher.client.post("/api/v1/models", json=body, headers={"Idempotency-Key": "push"}) for _ in range(2)
    )
    assert first.json["job_id"] == again.json["job_id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    other = publisher.client.post("/api/v1/models", json={**body, "stable": True}, headers={"Idempotency-Key": "push"})
    assert (other.status_code, other.json["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_it_is_not_done_once_more_by_a_key_for_jobs(publisher: Publisher, app: flask.Flask, name: str) -> None:
    job = publisher.publish(publisher.tar(name=name), name)
    assert "retry" not in job["links"]
    answer = publisher.client.post(f"/api/v1/jobs/{job['job_id']}/retry")
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "JOB_STATE_CONFLICT")


def test_what_was_changed_after_it_was_handed_in_is_not_published(publisher: Publisher, name: str) -> None:
    ticket = publisher.ask(publisher.tar(name=name), name)
    (key,) = publisher.platform.one(
        "SELECT inputs ->> 'key' FROM jobs WHERE id = :id", id=uuid.UUID(ticket.json["job_id"].removeprefix("job_"))
    )
    publisher.platform.store.put(str(key), publisher.tar(name=name, summary="Another"))
    assert publisher.job(ticket)["error"]["code"] == "INPUT_CHANGED"
    assert publisher.client.get(f"/api/v1/models/{name}").status_code == 404


def test_a_version_that_is_not_there_yet_is_in_nobodys_way(
    publisher: Publisher, name: str, new_job: Callable[..., uuid.UUID]
) -> None:
    ticket = publisher.ask(publisher.tar(name=name), name)
    behind = new_job()
    assert publisher.job(ticket)["status"] == "completed"
    assert publisher.platform.one("SELECT status FROM jobs WHERE id = :id", id=behind) == ("completed",)


def test_a_deprecated_version_that_is_published_again_does_not_become_the_stable_one(
    publisher: Publisher, name: str
) -> None:
    data, engine = publisher.tar(name=name), publisher.platform.engine
    publisher.publish(data, name)
    publisher.publish(publisher.tar(name=name, version="2.0.0"), name, version="2.0.0", stable=True)
    lifecycle.deprecate(engine, name, "1.0.0", audit.operator(), message=None, sunset_at=None)
    error = publisher.publish(data, name, stable=True)["error"]
    assert (error["code"], "is deprecated, and cannot be its stable version" in error["message"]) == (
        "BUNDLE_INVALID", True,
    )  # fmt: skip
    until(lambda: publisher.client.get(f"/api/v1/models/{name}").json["stable_version"] == "2.0.0")


@pytest.mark.parametrize("path", ["", "/versions/1.0.0"])
def test_a_model_that_is_removed_while_it_is_being_shown_is_shown_or_is_not_there(
    publisher: Publisher, name: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish(publisher.tar(name=name), name)
    # Whatever is read, is read anew.
    monkeypatch.setattr("registry.catalog.LOOK_S", -1.0)
    engine = publisher.client.application.extensions["coatcheck"].engine
    seen: list[str] = []

    def removed(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "FROM model_versions JOIN models" in statement and not seen:
            seen.append(statement)
            lifecycle.remove(publisher.platform.engine, name, "1.0.0", audit.operator())

    sqlalchemy.event.listen(engine, "after_cursor_execute", removed)
    try:
        answers = [publisher.client.get(f"/api/v1/models/{name}{path}").status_code for _ in range(2)]
    finally:
        sqlalchemy.event.remove(engine, "after_cursor_execute", removed)
    assert answers == [200, 404]


GONE: dict[str, str] = {
    "canceled": "UPDATE jobs SET cancel_requested_at = now() WHERE id = :id",
    "taken over": "UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE id = :id",
}


@pytest.mark.parametrize("how", GONE)
def test_an_attempt_that_is_not_wanted_any_more_lists_nothing(publisher: Publisher, name: str, how: str) -> None:
    publisher.ask(publisher.tar(name=name), name)
    (job,) = took(publisher.platform)
    publisher.platform.execute(GONE[how], id=job.id)
    clean_up(publisher.platform)
    # Another job, whose attempt has the same number, is none of its business.
    factories.job(publisher.platform, factories.tenant(publisher.platform), status="processing", attempt=job.attempt)
    # It has not heard of it yet.
    (outcome,) = publisher.platform.attempts.run([held := Held(job)])
    assert (outcome.result, outcome.error) == (None, None)
    # Its time has begun.
    assert held.run_ends_at is not None
    assert publisher.client.get(f"/api/v1/models/{name}").status_code == 404


def test_whatever_a_client_calls_a_model_that_it_publishes_is_counted_under_one_word(
    publisher: Publisher, name: str
) -> None:
    assert publisher.publish(publisher.tar(name=name), f"{name}-x")["status"] == "failed"
    counted = [
        sample.labels
        for counter in (metrics.ACCEPTED, metrics.ATTEMPTS)
        for family in counter.collect()
        for sample in family.samples
    ]
    assert {"model": "(publish)"} in counted
    assert {"model": "(publish)", "result": "BUNDLE_INVALID"} in counted
    assert f"{name}-x" not in {labels["model"] for labels in counted}


def test_who_is_told_of_jobs_is_told_of_it(publisher: Publisher, name: str) -> None:
    hook = {"url": "https://example.com/hook", "events": ["job.completed"]}
    assert publisher.client.post("/api/v1/webhooks", json=hook).status_code == 201
    job = publisher.publish(publisher.tar(name=name), name)
    (body,) = publisher.platform.one(
        "SELECT body::json -> 'data' -> 'result' ->> 'version' FROM webhook_deliveries WHERE job_id = :id",
        id=uuid.UUID(job["job_id"].removeprefix("job_")),
    )
    assert body == "1.0.0"
