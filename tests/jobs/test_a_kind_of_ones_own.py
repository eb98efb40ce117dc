"""A kind of job that only exists here: it is stored, claimed, run, shown and told like any other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from uuid import UUID

import flask.testing
import pytest

import models
from core import ids
from inference.output import Record
from jobs import kinds, settle
from jobs.drain import Drainer
from jobs.kinds.kind import Kind, Tools, inference
from jobs.lease import Held
from jobs.outcome import Outcome, stopped
from tests import factories
from tests.conftest import Platform
from tests.hands import status_of, took

NewJob = Callable[..., UUID]


class Count(Kind):
    """The payload is how far to count."""

    name = "count"
    offset_s = 7.0

    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        [mine] = held
        most = int(mine.job.inputs["to"])
        with inference(held):
            for number in range(1, most + 1):
                if not mine.wanted:
                    return [stopped(mine)]
                mine.advance(number / most)
        return [Outcome(mine, Record({"counted": most}), units=most)]


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch, quiet: None) -> Count:
    monkeypatch.setitem(kinds.KINDS, Count.name, Count())
    return Count()


def test_it_is_answered_through_the_platform(
    client: flask.testing.FlaskClient, platform: Platform, drainer: Drainer
) -> None:
    caller = client.get("/api/v1/jobs").get_json()
    assert caller["jobs"] == []
    tenant_id = UUID(str(platform.one("SELECT id FROM tenants ORDER BY created_at DESC LIMIT 1")[0]))
    job_id = factories.job(platform, tenant_id, kind="count", inputs={"to": 3})["id"]
    assert drainer.drain("cpu", "wake") == 1
    shown = client.get(f"/api/v1/jobs/{ids.job_id(job_id)}").get_json()
    assert (shown["status"], shown["progress"], shown["result"]) == ("completed", 100, {"counted": 3})
    assert client.get(f"/api/v1/jobs/{ids.job_id(job_id)}/result").get_json() == {"counted": 3}
    assert platform.one("SELECT units FROM usage WHERE job_id = :id", id=job_id) == (3,)
    again = client.post(f"/api/v1/jobs/{ids.job_id(job_id)}/retry")
    assert again.status_code == 202
    assert platform.one("SELECT kind, inputs ->> 'to' FROM jobs WHERE retry_of = :id", id=job_id) == ("count", "3")


def test_it_is_claimed_alone_and_stands_where_its_class_does(platform: Platform, new_job: NewJob) -> None:
    counted, other = (new_job(kind=name, inputs={"to": 1}) for name in ("count", "predict"))
    behind = platform.one(
        "SELECT extract(epoch FROM a.fair_at - b.fair_at)::float FROM jobs a, jobs b WHERE (a.id, b.id) = (:a, :b)",
        a=counted, b=other,
    )  # fmt: skip
    assert float(str(behind[0])) == pytest.approx(7, abs=2)
    new_job(kind="count", inputs={"to": 1})
    assert [len(took(platform)) for _ in range(3)] == [1, 1, 1]


def test_receivers_are_told_what_came_of_it(platform: Platform, new_job: NewJob) -> None:
    new_job(kind="count", inputs={"to": 2}, webhook_url="https://there.example/x", webhook_events=["job.completed"])
    (job,) = took(platform)
    settle.complete(platform.engine, [settle.Done(job, Record({"counted": 2}), units=1)])
    (body,) = platform.one("SELECT body FROM webhook_deliveries WHERE job_id = :id", id=job.id)
    assert json.loads(str(body))["data"]["result"] == {"counted": 2}


def test_a_worker_that_does_not_know_it_leaves_it_to_one_that_does(
    platform: Platform, drainer: Drainer, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = new_job(kind="count", inputs={"to": 1})
    monkeypatch.delitem(kinds.KINDS, Count.name)
    drainer.drain("cpu", "wake")
    assert status_of(platform, job_id) == "pending"
    left = platform.one("SELECT max_attempts - attempt, error ->> 'code' FROM jobs WHERE id = :id", id=job_id)
    assert left == (4, "UNAVAILABLE")


def test_its_large_result_is_an_object_that_goes_with_it(platform: Platform, kind: Count) -> None:
    tenant = factories.tenant(platform)
    job_id = factories.job(platform, tenant, kind="count", status="completed")["id"]
    body = {"form": "stored", "stored_key": f"{kind.folder(job_id)}1.json", "bytes": 2}
    factories.add(platform, models.JobResult, job_id=job_id, body=body)
    assert kind.folder(job_id) == f"results/{job_id.hex}/"
