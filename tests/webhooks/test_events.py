"""What a receiver is told, and that nothing it was promised can be forgotten."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from core import ids
from inference import bundle
from jobs.drain import Drainer
from tests import factories, graphs
from tests.bulk.test_answers_that_are_no_labels import MODELS
from tests.conftest import Platform, until
from tests.hands import clean_up, complete, lose, took, work
from tests.webhooks.conftest import Receiver, Tenant

Deliver = Callable[[], None]
ENDS = ("job.completed", "job.failed", "job.canceled", "job.expired")


def test_a_completed_job_is_told_of_with_its_result(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    tenant.endpoint(receiver.url)
    job_id = tenant.job(metadata={"mine": ["ü", "\0", {"deep": None}]})
    work(platform)
    deliver()
    (got,) = receiver.got(1)
    shown = tenant.http.get(f"/api/v1/jobs/{job_id}").json
    data = got.event["data"]
    assert got.headers["content-type"] == "application/json"
    assert got.event["type"] == "job.completed"
    assert (data["job_id"], data["status"], data["progress"], data["attempt"]) == (job_id, "completed", 100, 1)
    for name in ("result", "metadata", "model", "model_version"):
        assert data[name] == shown[name], name
    for name in ("created_at", "started_at", "finished_at"):
        assert dt.datetime.fromisoformat(data[name]) == dt.datetime.fromisoformat(shown[name]), name
    assert data["error"] is None


@pytest.mark.parametrize("what", MODELS)
def test_every_answer_is_told_as_the_api_shows_it(
    tenant: Tenant,
    receiver: Receiver,
    platform: Platform,
    drainer: Drainer,
    deliver: Deliver,
    tmp_path: Path,
    what: str,
) -> None:
    made, says, inputs, wanted = MODELS[what]
    name = f"told-{uuid.uuid4().hex}"
    assert platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / name, made, name=name, **says)))
    until(lambda: tenant.http.get(f"/api/v1/models/{name}").status_code == 200)
    tenant.endpoint(receiver.url)
    one, several = tenant.job(model=name, inputs=inputs[0]), tenant.job(model=name, inputs=inputs)
    while drainer.drain("cpu", "wake"):
        pass
    deliver()
    told = {got.event["data"]["job_id"]: got.event["data"]["result"] for got in receiver.got(2)}
    assert told == {one: wanted[0], several: {"predictions": wanted}}


@pytest.mark.parametrize(
    ("more", "status"),
    [({}, 202), ({"model": "nothing"}, 404), ({"inputs": {"text": 7}}, 422), ({"priority": "none"}, 422)],
)
def test_only_a_job_that_is_accepted_makes_the_key_that_its_end_is_signed_with(
    tenant: Tenant, platform: Platform, more: dict[str, object], status: int
) -> None:
    asked = {"inputs": {"text": "x"}, "webhook_url": "https://receiver.example/", **more}
    made = "SELECT count(*) FROM webhook_secrets WHERE endpoint_id IS NULL"
    before = platform.one(made)[0]
    assert tenant.http.post("/api/v1/jobs", json=asked).status_code == status
    assert platform.one(made)[0] == before + (status == 202)


def test_each_way_to_end_is_told_of_whoever_ended_it(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    tenant.endpoint(receiver.url, *ENDS)
    completed = tenant.job()
    work(platform)
    failed = tenant.job()
    for _ in range(3):
        took(platform)
        lose(platform)
    canceled = tenant.job()
    assert tenant.http.post(f"/api/v1/jobs/{canceled}/cancel").status_code == 200
    expired, by_hand = tenant.job(), tenant.job()
    platform.execute("UPDATE jobs SET expires_at = now() WHERE id = :id", id=ids.parse_job_id(expired))
    clean_up(platform)
    platform.execute("UPDATE jobs SET status = 'canceled' WHERE id = :id", id=ids.parse_job_id(by_hand))
    deliver()
    told = {(item.event["type"], item.event["data"]["job_id"]) for item in receiver.got(5)}
    assert told == {
        ("job.completed", completed), ("job.failed", failed), ("job.canceled", canceled), ("job.expired", expired),
        ("job.canceled", by_hand),
    }  # fmt: skip
    error = next(item.event["data"]["error"] for item in receiver.calls if item.event["type"] == "job.failed")
    assert error["code"] == "WORKER_LOST"


def test_an_end_that_is_rolled_back_is_told_to_nobody(tenant: Tenant, receiver: Receiver, platform: Platform) -> None:
    tenant.endpoint(receiver.url, *ENDS)
    tenant.job()
    with platform.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE jobs SET status = 'canceled'")
        assert connection.exec_driver_sql("SELECT count(*) FROM webhook_deliveries").scalar_one() == 1
        connection.rollback()
    assert platform.one("SELECT count(*) FROM webhook_deliveries") == (0,)


def test_an_endpoint_hears_of_what_it_asked_for_and_of_its_own_tenant_alone(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver, new_job: Callable[..., uuid.UUID]
) -> None:
    tenant.endpoint(receiver.url, "job.canceled")
    new_job()
    tenant.job()
    work(platform)
    job_id = tenant.job()
    tenant.http.post(f"/api/v1/jobs/{job_id}/cancel")
    deliver()
    assert [item.event["data"]["job_id"] for item in receiver.got(1)] == [job_id]


def test_a_jobs_own_receiver_is_called_for_it_and_for_its_retry(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    job_id = tenant.job(webhook_url=receiver.url + "?token=1", webhook_events=["job.canceled", "job.completed"])
    tenant.job()
    tenant.http.post(f"/api/v1/jobs/{job_id}/cancel")
    again = tenant.http.post(f"/api/v1/jobs/{job_id}/retry").json["job_id"]
    work(platform)
    deliver()
    told = {(item.path, item.event["type"], item.event["data"]["job_id"]) for item in receiver.got(2)}
    assert told == {("/hook?token=1", "job.canceled", job_id), ("/hook?token=1", "job.completed", again)}
    log = tenant.deliveries(job_id=job_id)
    assert [(item["event"], item["status"], item["url"]) for item in log] == [
        ("job.canceled", "delivered", receiver.url + "?token=1")
    ]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"inputs": [{"text": "Lovely"}, {"text": "Awful"}]}, True),
        ({"inputs": {"text": "Lovely"}, "options": {"explain": "simple"}}, True),
        ({"inputs": [{"text": "Lovely"}] * 300}, False),
    ],
    ids=["a list", "explained", "large"],
)
def test_a_small_result_is_as_the_api_shows_it_and_a_large_one_has_to_be_asked_for(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver, body: dict[str, object], told: bool
) -> None:
    tenant.endpoint(receiver.url)
    job_id = tenant.job(**body)
    work(platform)
    deliver()
    shown = tenant.http.get(f"/api/v1/jobs/{job_id}").json["result"]
    assert receiver.got(1)[0].event["data"]["result"] == (shown if told else None)
    assert len(receiver.calls[0].body) < 20_000


def test_results_with_bad_items_are_told_with_their_errors_in_place(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    tenant.endpoint(receiver.url)
    made = tenant.http.post(
        "/api/v1/predict/batch",
        json={"inputs": [{"text": ""}, {"text": "Lovely"}], "options": {"return_errors": "individual"}},
        headers={"Prefer": "respond-async"},
    )
    assert made.status_code == 202
    work(platform)
    deliver()
    shown = tenant.http.get(f"/api/v1/jobs/{made.json['job_id']}").json["result"]
    assert [next(iter(item)) for item in shown["predictions"]] == ["error", "prediction"]
    assert receiver.got(1)[0].event["data"]["result"] == shown


def test_no_text_that_a_client_hands_in_keeps_a_job_from_ending_and_from_being_told(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    tenant.endpoint(receiver.url)
    made = tenant.http.post(
        "/api/v1/predict/batch",
        json={"inputs": [{"text": "Lovely"}, {"text": "x", "\0": 1}], "options": {"return_errors": "individual"}},
        headers={"Prefer": "respond-async"},
    )
    work(platform)
    shown = tenant.http.get(f"/api/v1/jobs/{made.json['job_id']}").json
    assert (shown["status"], "\0" in str(shown["result"]["predictions"][1])) == ("completed", False)
    deliver()
    assert receiver.got(1)[0].event["data"]["result"] == shown["result"]


def test_a_whole_batch_is_told_of_job_by_job_in_one_transaction(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    tenant.endpoint(receiver.url)
    jobs = {tenant.job() for _ in range(60)}
    complete(platform, took(platform))
    assert platform.one("SELECT count(*), count(DISTINCT created_at) FROM webhook_deliveries") == (60, 1)
    deliver()
    assert {item.event["data"]["job_id"] for item in receiver.got(60)} == jobs
    sequences = [item.event["data"]["sequence"] for item in receiver.calls]
    assert len(set(sequences)) == 60


def test_progress_is_told_at_most_every_five_seconds_and_never_after_the_end(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    tenant.endpoint(receiver.url, "job.progress", "job.completed")
    job_id = ids.parse_job_id(tenant.job())
    jobs = took(platform)
    for progress in (10, 20, 30):
        platform.execute("UPDATE jobs SET progress = :progress WHERE id = :id", progress=progress, id=job_id)
    deliver()
    platform.execute("UPDATE webhook_deliveries SET created_at = created_at - interval '6 s'")
    platform.execute("UPDATE jobs SET progress = 40 WHERE id = :id", id=job_id)
    deliver()
    complete(platform, jobs)
    deliver()
    told = [(item.event["type"], item.event["data"]["progress"]) for item in receiver.got(3)]
    assert told == [("job.progress", 10), ("job.progress", 40), ("job.completed", 100)]
    assert receiver.calls[0].event["data"]["status"] == "processing"
    sequences = [item.event["data"]["sequence"] for item in receiver.calls]
    assert sequences == sorted(sequences)


def test_chunks_of_a_file_are_nobodys_business(tenant: Tenant, receiver: Receiver, platform: Platform) -> None:
    tenant.endpoint(receiver.url, *ENDS, "job.progress")
    parent = ids.parse_job_id(tenant.job())
    took(platform)
    tenant_id = platform.one("SELECT tenant_id FROM jobs WHERE id = :id", id=parent)[0]
    factories.chunk(platform, {"id": parent, "tenant_id": tenant_id})
    platform.execute("UPDATE jobs SET status = 'canceled' WHERE parent_id = :id", id=parent)
    assert platform.one("SELECT count(*) FROM webhook_deliveries") == (0,)


def test_what_ends_while_an_endpoint_is_off_is_kept_as_failed_and_can_be_had_later(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    endpoint = tenant.endpoint(receiver.url)
    address = f"/api/v1/webhooks/{endpoint['id']}"
    since = platform.one("SELECT now()")[0].isoformat()
    off = tenant.http.patch(address, json={"enabled": False}).json
    assert (off["enabled"], off["disabled_code"]) == (False, "BY_TENANT")
    jobs = [tenant.job() for _ in range(3)]
    work(platform)
    deliver()
    assert {(item["status"], item["last_error"]) for item in tenant.deliveries()} == {("failed", "ENDPOINT_DISABLED")}
    assert receiver.calls == []
    assert tenant.http.post(f"{address}/redeliver", json={"since": since}).status_code == 409
    tenant.http.patch(address, json={"enabled": True})
    assert tenant.http.post(f"{address}/redeliver", json={"since": since}).json == {"count": 3, "next_after": None}
    deliver()
    assert sorted(item.event["data"]["job_id"] for item in receiver.got(3)) == sorted(jobs)
    assert tenant.http.post(f"{address}/redeliver", json={"since": since}).json["count"] == 0


def test_another_tenants_endpoints_and_deliveries_do_not_exist(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    endpoint = tenant.endpoint(receiver.url)
    tenant.job()
    work(platform)
    deliver()
    (delivery,) = tenant.deliveries()
    _, key = platform.new_tenant()
    other = {"headers": {"Authorization": f"Bearer {key}"}}
    endpoint_at, delivery_at = f"/api/v1/webhooks/{endpoint['id']}", f"/api/v1/webhooks/deliveries/{delivery['id']}"
    asked = [
        tenant.http.get(endpoint_at, **other), tenant.http.patch(endpoint_at, json={}, **other),
        tenant.http.delete(endpoint_at, **other), tenant.http.get(f"{endpoint_at}/secret", **other),
        tenant.http.post(f"{endpoint_at}/rotate", json={}, **other), tenant.http.post(f"{endpoint_at}/test", **other),
        tenant.http.get(f"{endpoint_at}/deliveries", **other), tenant.http.get(delivery_at, **other),
        tenant.http.post(f"{delivery_at}/redeliver", **other),
    ]  # fmt: skip
    assert [answer.status_code for answer in asked] == [404] * 9


def test_a_test_says_what_it_is_of_which_endpoint_and_when(
    tenant: Tenant, receiver: Receiver, deliver: Deliver
) -> None:
    endpoint = tenant.endpoint(receiver.url)
    tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/test")
    deliver()
    (got,) = receiver.got(1)
    (delivery,) = tenant.deliveries()
    said = {name: got.headers[name] for name in ("content-type", "user-agent", "webhook-id")}
    assert said == {
        "content-type": "application/json", "user-agent": "coatcheck-webhooks/1", "webhook-id": delivery["id"],
    }  # fmt: skip
    told = got.event
    age = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(told.pop("timestamp"))
    assert abs(age) < dt.timedelta(minutes=10)
    assert told == {"type": "webhook.test", "data": {"endpoint_id": endpoint["id"], "message": "It works."}}
