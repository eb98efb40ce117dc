"""What is told of a job and of a delivery in each state that it may be in: only what is so."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

import models
from api.v1 import present
from core import ids
from jobs import result as result_
from jobs.bulk import progress
from jobs.bulk.progress import Rows
from jobs.job import Status
from tests import factories
from tests.conftest import Platform
from tests.hands import sign_of_life
from webhooks import deliveries

pytestmark = pytest.mark.usefixtures("quiet")
PREFIX = "/api/v1"
ENDED = ("completed", "failed", "canceled", "expired")
WHY = {"code": "X", "message": "Because", "details": {}}


@dataclass(frozen=True)
class Owner:
    """A tenant, and its caller."""

    tenant_id: uuid.UUID
    http: FlaskClient

    def see(self, path: str, **headers: str) -> Any:
        return self.http.get(f"{PREFIX}/{path}", headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.fixture
def owner(platform: Platform, app: flask.Flask) -> Owner:
    caller, key = platform.new_tenant()
    http = app.test_client()
    http.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return Owner(caller.tenant_id, http)


def made(platform: Platform, owner: Owner, **given: Any) -> str:
    found = factories.job(platform, owner.tenant_id, **given)
    if given.get("status") == "completed":
        factories.add(platform, models.JobResult, job_id=found["id"])
    return ids.job_id(found["id"])


#: Where a job leads beside itself and its events.
LEADS = {
    "pending": {"cancel"}, "processing": {"cancel"}, "completed": {"result", "retry"}, "failed": {"retry"},
    "canceled": {"retry"}, "expired": {"retry"},
}  # fmt: skip


@pytest.mark.parametrize("status", Status)
def test_a_job_leads_to_what_can_be_done_with_it_now_and_says_whether_to_come_back(
    platform: Platform, owner: Owner, status: str
) -> None:
    assert set(LEADS) == set(Status)
    job_id = made(platform, owner, status=status)
    answer = owner.see(f"jobs/{job_id}")
    path = f"{PREFIX}/jobs/{job_id}"
    wanted = {"self": path, **{name: f"{path}/{name}" for name in {"events", *LEADS[status]}}}
    assert answer.get_json()["links"] == wanted
    assert answer.headers.get("Retry-After") == (None if status in ENDED else "1")
    (listed,) = owner.see("jobs").get_json()["jobs"]
    assert listed["links"] == wanted
    for name, address in wanted.items():
        if name != "events" or status in ENDED:
            asked = owner.http.post if name in ("cancel", "retry") else owner.http.get
            assert asked(address).status_code in (200, 202), name


@pytest.mark.parametrize("status", Status)
def test_an_error_is_the_last_one_until_the_job_ends_by_it(platform: Platform, owner: Owner, status: str) -> None:
    for error in (None, WHY):
        job = owner.see(f"jobs/{made(platform, owner, status=status, error=error)}").get_json()
        name = "error" if status in ENDED else "last_error"
        assert {key: job[key] for key in ("error", "last_error") if key in job} == ({name: WHY} if error else {})


@pytest.mark.parametrize(("done", "failed", "told"), [(3, 1, 304), (4, 1, 200), (3, 2, 200)])
def test_rows_that_have_come_since_they_were_seen_are_told(
    platform: Platform, owner: Owner, monkeypatch: pytest.MonkeyPatch, done: int, failed: int, told: int
) -> None:
    job_id = made(platform, owner, status="processing", kind="bulk")
    monkeypatch.setattr(progress, "count", lambda *_: Rows(9, 3, 1))
    seen = owner.see(f"jobs/{job_id}").headers["ETag"]
    monkeypatch.setattr(progress, "count", lambda *_: Rows(9, done, failed))
    assert owner.see(f"jobs/{job_id}", If_None_Match=seen).status_code == told


def test_addresses_of_files_are_told_anew_each_time_for_they_end(platform: Platform, owner: Owner) -> None:
    for result in (result_.Stored("results/a/1.json", 5), result_.Rows(1, 0, "results/b/output.jsonl")):
        job = factories.job(platform, owner.tenant_id, status="completed")["id"]
        factories.add(platform, models.JobResult, job_id=job, body=result_.dump(result))
        seen = owner.see(f"jobs/{ids.job_id(job)}")
        again = owner.see(f"jobs/{ids.job_id(job)}", If_None_Match=seen.headers["ETag"])
        assert (again.status_code, again.headers["ETag"]) == (200, seen.headers["ETag"])


@pytest.mark.parametrize("status", [status for status in Status if status != "completed"])
def test_what_has_no_result_says_where_it_stands(platform: Platform, owner: Owner, status: str) -> None:
    answer = owner.see(f"jobs/{made(platform, owner, status=status)}/result")
    error = answer.get_json()["error"]
    assert (answer.status_code, error["message"]) == (409, f"A job that is {status} has no result")
    assert error["details"] == {"field": "status", "issue": f"is {status}"}


@pytest.mark.parametrize(
    ("was", "changes"),
    [
        ("pending", "status = 'canceled', finished_at = now()"),
        ("pending", "cancel_requested_at = now()"),
        ("processing", "progress = 7"),
        ("processing", "attempt = attempt + 1"),
        ("processing", "cancel_requested_at = now()"),
        ("processing", "status = 'failed', finished_at = now(), lease_expires_at = NULL"),
    ],
)
def test_what_was_seen_is_told_anew_whatever_has_changed(
    platform: Platform, owner: Owner, was: str, changes: str
) -> None:
    job_id = made(platform, owner, status=was)
    seen = owner.see(f"jobs/{job_id}").headers["ETag"]
    assert owner.see(f"jobs/{job_id}", If_None_Match=seen).status_code == 304
    with platform.admin.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(f"UPDATE jobs SET {changes} WHERE id = :id"), {"id": ids.parse_job_id(job_id)})
    answer = owner.see(f"jobs/{job_id}", If_None_Match=seen)
    assert (answer.status_code, answer.headers["ETag"] != seen) == (200, True)


@pytest.mark.parametrize(
    ("ahead", "jobs_per_s", "told"),
    [(0, 1.0, "1"), (1, 1.0, "1"), (2, 1.0, "2"), (1, 0.4, "3"), (30, 1.0, "30"), (31, 1.0, "30")],
)
def test_a_waiting_job_is_to_be_asked_for_when_it_starts_but_within_half_a_minute(
    platform: Platform, owner: Owner, ahead: int, jobs_per_s: float, told: str
) -> None:
    assert present.MAX_RETRY_AFTER_S == 30
    sign_of_life(platform, "a/b/1", receives=True)
    sign_of_life(platform, "a/b/2", works=True, jobs_per_s=jobs_per_s)
    earlier = text("now() - interval '1 h'")
    for _ in range(ahead):
        made(platform, owner, fair_at=earlier)
    answer = owner.see(f"jobs/{made(platform, owner)}")
    assert (answer.get_json()["queue"]["ahead"], answer.headers["Retry-After"]) == (ahead, told)


@pytest.mark.parametrize("status", ["pending", "sending", "delivered", "failed"])
def test_a_delivery_is_told_as_it_stands(platform: Platform, owner: Owner, status: str) -> None:
    endpoint = factories.add(platform, models.WebhookEndpoint, tenant_id=owner.tenant_id)
    job_id = uuid.uuid4()
    for given in (
        {"endpoint_id": endpoint["id"], "job_id": job_id},
        {"url": "https://receiver.example/own", "job_id": job_id, "last_status": 503, "last_error": "BAD_STATUS"},
    ):
        row = factories.add(platform, models.WebhookDelivery, tenant_id=owner.tenant_id, status=status, **given)
        factories.add(platform, models.WebhookAttempt, delivery_id=row["id"], status=503, ms=7)
        kept = deliveries.get(platform.engine, owner.tenant_id, row["id"])
        address = f"webhooks/deliveries/{ids.delivery_id(row['id'])}"
        told = owner.see(address).get_json()
        (call,) = told.pop("attempts")
        assert (call["attempt"], call["status"], call["ms"]) == (1, 503, 7)
        assert told.pop("body") == "{}"
        ended = status in ("delivered", "failed")
        assert (kept.finished_at is not None) == ended
        assert told == {
            "id": ids.delivery_id(row["id"]),
            "sequence": kept.sequence,
            "event": "job.completed",
            "endpoint_id": ids.endpoint_id(endpoint["id"]) if "endpoint_id" in given else None,
            "url": given.get("url"),
            "job_id": ids.job_id(job_id),
            "status": status,
            "attempt": 1,
            "next_at": kept.next_at.isoformat() if status == "pending" else None,
            "last_status": given.get("last_status"),
            "last_error": given.get("last_error"),
            "created_at": kept.created_at.isoformat(),
            "finished_at": kept.finished_at.isoformat() if kept.finished_at else None,
        }
        assert owner.see("webhooks/deliveries").get_json()["deliveries"][0] == told
