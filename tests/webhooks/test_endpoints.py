"""Endpoints by the API: made, changed, deleted, refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from core import ids
from tests.conftest import Platform
from tests.hands import work
from tests.webhooks.conftest import Receiver, Tenant
from webhooks import deliveries
from webhooks.endpoints import MOST

URL = "https://example.com/hook"
Deliver = Callable[[], None]


def test_an_endpoint_is_made_shown_changed_and_deleted(tenant: Tenant) -> None:
    made = tenant.endpoint(URL, "job.completed", "job.failed", description="Mine ☃")
    assert made.pop("secret").startswith("whsec_")
    address = f"/api/v1/webhooks/{made['id']}"
    assert tenant.show(made) == made
    assert tenant.http.get("/api/v1/webhooks").json == {"webhooks": [made]}
    changes = {"url": f"{URL}/2", "events": ["job.canceled"], "description": ""}
    assert tenant.http.patch(address, json=changes).json == {**made, **changes}
    assert tenant.http.patch(address, json={}).json == {**made, **changes}
    assert tenant.http.delete(address).status_code == 204
    assert tenant.http.delete(address).status_code == 404
    assert tenant.http.get("/api/v1/webhooks").json == {"webhooks": []}


def test_an_endpoint_that_was_off_and_is_on_again_is_as_it_was_made(tenant: Tenant) -> None:
    made = tenant.endpoint(URL)
    made.pop("secret")
    address = f"/api/v1/webhooks/{made['id']}"
    off = tenant.http.patch(address, json={"enabled": False}).json
    assert off == {**made, "enabled": False, "disabled_code": "BY_TENANT", "disabled_at": off["disabled_at"]}
    assert off["disabled_at"] > made["created_at"]
    assert tenant.http.patch(address, json={"enabled": True}).json == made


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"events": ["job.completed"]}, "url"),
        ({"url": URL}, "events"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": ["job.done"]}, "events.0"),
        ({"url": URL, "events": ["*"]}, "events.0"),
        ({"url": URL, "events": ["job.completed", "job.completed"]}, "events"),
        ({"url": URL, "events": "job.completed"}, "events"),
        ({"url": URL, "events": ["webhook.test"]}, "events.0"),
        ({"url": 1, "events": ["job.completed"]}, "url"),
        ({"url": "", "events": ["job.completed"]}, "url"),
        ({"url": URL, "events": ["job.completed"], "signing": "v2"}, "signing"),
        ({"url": URL, "events": ["job.completed"], "description": "x" * 256}, "description"),
        ({"url": URL, "events": ["job.completed"], "description": "a\0b"}, "description"),
        ({"url": URL, "events": ["job.completed"], "secret": "whsec_x"}, "secret"),
        ({"url": URL, "events": ["job.completed"], "enabled": "yes"}, "enabled"),
    ],
)
def test_what_is_wrong_with_an_endpoint_is_named(tenant: Tenant, body: dict[str, Any], field: str) -> None:
    refused = tenant.http.post("/api/v1/webhooks", json=body)
    assert (refused.status_code, refused.json["error"]["details"]["field"]) == (422, field)
    assert tenant.http.get("/api/v1/webhooks").json == {"webhooks": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"webhook_events": ["job.completed"]}, "webhook_events"),
        ({"webhook_url": URL, "webhook_events": []}, "webhook_events"),
        ({"webhook_url": URL, "webhook_events": ["webhook.disabled"]}, "webhook_events.0"),
        ({"webhook_url": "http://example.com/"}, "webhook_url"),
        ({"webhook_url": None}, "webhook_url"),
    ],
)
def test_what_is_wrong_with_a_jobs_own_receiver_is_named_and_no_job_is_made(
    tenant: Tenant, platform: Platform, body: dict[str, Any], field: str
) -> None:
    refused = tenant.http.post("/api/v1/jobs", json={"inputs": {"text": "x"}, **body})
    assert (refused.status_code, refused.json["error"]["details"]["field"]) == (422, field)
    assert platform.one("SELECT count(*) FROM jobs") == (0,)


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"since": "yesterday"},
        {"since": "2026-11-25T12:00:00"},
        {"since": "2026-11-25T12:00:00Z", "until": "2026-11-25T12:00:00Z"},
        {"since": "2026-11-25T12:00:00Z", "status": "pending"},
    ],
)
def test_a_window_that_is_none_is_refused(tenant: Tenant, window: dict[str, str]) -> None:
    endpoint = tenant.endpoint(URL)
    assert tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/redeliver", json=window).status_code == 422


def test_of_a_window_what_was_made_from_its_beginning_on_and_before_its_end_is_sent_again(
    tenant: Tenant, platform: Platform
) -> None:
    endpoint = tenant.endpoint(URL)
    job_ids = [ids.parse_job_id(tenant.job()) for _ in range(3)]
    tenant.http.patch(f"/api/v1/webhooks/{endpoint['id']}", json={"enabled": False})
    work(platform)
    tenant.http.patch(f"/api/v1/webhooks/{endpoint['id']}", json={"enabled": True})
    made = "UPDATE webhook_deliveries SET created_at = now() - CAST(:ago AS interval) WHERE job_id = :job_id"
    for hours, job_id in zip((3, 2, 1), job_ids, strict=True):
        platform.execute(made, ago=f"{hours} h", job_id=job_id)
    first, second, third = sorted(item["created_at"] for item in tenant.deliveries())
    failed = "UPDATE webhook_deliveries SET status = 'failed', finished_at = now()"
    for window, sent in (
        ({"since": first}, 3), ({"since": second}, 2), ({"since": first, "until": third}, 2),
        ({"since": first, "until": second}, 1), ({"since": second, "until": third}, 1),
    ):  # fmt: skip
        platform.execute(failed)
        answer = tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/redeliver", json=window)
        assert (answer.status_code, answer.json) == (202, {"count": sent, "next_after": None}), window
        since, until = window["since"], window.get("until", "9999")
        again = sorted(item["created_at"] for item in tenant.deliveries(status="pending"))
        assert again == [at for at in (first, second, third) if since <= at < until]


def test_a_tenant_has_no_more_endpoints_than_it_may_also_when_many_are_made_at_once(
    tenant: Tenant, platform: Platform
) -> None:
    answers: list[int] = []

    def make() -> None:
        client = tenant.another()
        body = {"url": URL, "events": ["job.completed"]}
        answers.extend(client.post("/api/v1/webhooks", json=body).status_code for _ in range(6))

    threads = [threading.Thread(target=make) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count(201), answers.count(409)) == (MOST, 30 - MOST)
    assert platform.one("SELECT count(*), count(DISTINCT endpoint_id) FROM webhook_secrets") == (MOST, MOST)


def test_the_same_request_under_one_key_makes_one_endpoint_and_leaves_no_secret_behind(
    tenant: Tenant, platform: Platform
) -> None:
    body = {"url": URL, "events": ["job.completed"]}
    made, again = (tenant.http.post("/api/v1/webhooks", json=body, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert made.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert made.json["secret"] not in str(platform.rows("SELECT reply::text FROM idempotency_keys"))
    other = {**body, "url": f"{URL}/2"}
    refused = tenant.http.post("/api/v1/webhooks", json=other, headers={"Idempotency-Key": "k1"})
    assert refused.status_code == 422


def test_a_window_is_redelivered_piece_by_piece(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = tenant.endpoint(receiver.url)
    since = platform.one("SELECT now()")[0].isoformat()
    for _ in range(5):
        tenant.job()
    work(platform)
    deliver()
    monkeypatch.setattr(deliveries, "MOST_AGAIN", 2)
    counts: list[Any] = []
    after: dict[str, Any] | None = {}
    while after is not None:
        answer = tenant.http.post(
            f"/api/v1/webhooks/{endpoint['id']}/redeliver", json={"since": since, "status": "all", **after}
        ).json
        deliver()
        counts.append(answer["count"])
        after = {"after": answer["next_after"]} if answer["next_after"] else None
    assert counts == [2, 2, 1]
    assert len(receiver.calls) == 10
    assert len({item.id for item in receiver.calls}) == 5


def test_no_more_than_four_keys_are_good_at_once(tenant: Tenant) -> None:
    address = f"/api/v1/webhooks/{tenant.endpoint(URL)['id']}/rotate"
    answers = [tenant.http.post(address, json={}).status_code for _ in range(5)]
    assert answers == [200, 200, 200, 409, 409]
    assert tenant.http.post(address, json={"overlap_s": 0}).json["previous"] == []


def test_rotating_and_deleting_at_once_is_either_and_never_an_error_of_ours(tenant: Tenant) -> None:
    answers: list[int] = []

    def ask(method: str, path: str) -> None:
        client = tenant.another()
        body = {"overlap_s": 0} if path.endswith("rotate") else None
        answers.append(client.open(path, method=method, json=body).status_code)

    for _ in range(15):
        address = f"/api/v1/webhooks/{tenant.endpoint(URL)['id']}"
        asked = [("POST", f"{address}/rotate")] * 3 + [("GET", f"{address}/secret"), ("DELETE", address)] * 2
        threads = [threading.Thread(target=ask, args=each) for each in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(answers) <= {200, 204, 404}
    assert answers.count(204) == 15


def test_the_first_secret_of_jobs_own_receivers_is_one_however_many_ask_at_once(
    tenant: Tenant, platform: Platform
) -> None:
    found: list[str] = []

    def ask() -> None:
        client = tenant.another()
        found.append(client.get("/api/v1/webhooks/jobs/secret").json["secret"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_what_waits_for_a_deleted_endpoint_fails_where_it_can_be_seen(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    endpoint = tenant.endpoint(receiver.url)
    tenant.job()
    work(platform)
    tenant.http.delete(f"/api/v1/webhooks/{endpoint['id']}")
    deliver()
    (log,) = tenant.deliveries()
    assert (log["status"], log["last_error"], receiver.calls) == ("failed", "ENDPOINT_DELETED", [])
    assert tenant.http.post(f"/api/v1/webhooks/deliveries/{log['id']}/redeliver").status_code == 409


def test_nothing_is_sent_again_to_an_endpoint_that_is_switched_off(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    endpoint = tenant.endpoint(receiver.url)
    tenant.job()
    work(platform)
    deliver()
    (log,) = tenant.deliveries()
    assert log["status"] == "delivered"
    tenant.http.patch(f"/api/v1/webhooks/{endpoint['id']}", json={"enabled": False})
    again = tenant.http.post(f"/api/v1/webhooks/deliveries/{log['id']}/redeliver")
    assert (again.status_code, again.json["error"]["details"]) == (409, {"field": "enabled"})
    assert tenant.deliveries()[0]["status"] == "delivered"


def test_a_changed_url_holds_for_what_is_still_waiting(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    endpoint = tenant.endpoint("https://receiver.invalid/wrong")
    tenant.job()
    work(platform)
    tenant.http.patch(f"/api/v1/webhooks/{endpoint['id']}", json={"url": receiver.url})
    deliver()
    assert len(receiver.got(1)) == 1


def test_the_log_is_paged_newest_first_and_filtered(
    tenant: Tenant, receiver: Receiver, platform: Platform, deliver: Deliver
) -> None:
    endpoint = tenant.endpoint(receiver.url, "job.completed", "job.canceled")
    jobs = [tenant.job() for _ in range(5)]
    tenant.http.post(f"/api/v1/jobs/{jobs[0]}/cancel")
    work(platform)
    deliver()
    address = f"/api/v1/webhooks/{endpoint['id']}/deliveries"
    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = tenant.http.get(address, query_string={"limit": 2, **before}).json
        seen += [item["id"] for item in page["deliveries"]]
        if page["next_before"] is None:
            break
        before = {"before": page["next_before"]}
    assert seen == [item["id"] for item in reversed(tenant.deliveries())]
    assert len(set(seen)) == 5
    # Where the log ends with the page, there is no next one.
    for limit, more in ((4, True), (5, False), (6, False)):
        page = tenant.http.get(address, query_string={"limit": limit}).json
        assert (len(page["deliveries"]), page["next_before"] is not None) == (min(limit, 5), more)
    # Another endpoint's are in the log of all, and not in this one's.
    tenant.endpoint(receiver.url, "job.completed")
    tenant.job()
    work(platform)
    assert len(tenant.deliveries()) == 7
    assert len(tenant.http.get(address).json["deliveries"]) == 6
    assert [item["job_id"] for item in tenant.deliveries(event="job.canceled")] == [jobs[0]]
    assert [item["event"] for item in tenant.deliveries(job_id=jobs[1])] == ["job.completed"]
    assert tenant.deliveries(status="failed") == []
    for query in ({"status": "lost"}, {"before": "x"}, {"limit": 0}, {"limit": 101}, {"nope": 1}):
        assert tenant.http.get(address, query_string=query).status_code == 422
    assert tenant.http.get("/api/v1/webhooks/deliveries", query_string={"job_id": "job_x"}).status_code == 404


def test_nobody_gets_in_without_a_key(anonymous: Any, tenant: Tenant) -> None:
    endpoint = tenant.endpoint(URL)
    address = f"/api/v1/webhooks/{endpoint['id']}"
    for ask, path in (
        (anonymous.get, "/api/v1/webhooks"), (anonymous.post, "/api/v1/webhooks"), (anonymous.get, address),
        (anonymous.delete, address), (anonymous.get, f"{address}/secret"), (anonymous.post, f"{address}/rotate"),
        (anonymous.post, f"{address}/test"), (anonymous.get, "/api/v1/webhooks/deliveries"),
    ):  # fmt: skip
        assert ask(path).status_code == 401, path
