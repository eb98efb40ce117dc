from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from sqlalchemy import text

import models
from core import ids
from jobs import kinds, presence, retention
from jobs.bulk.places import folder
from tests import factories
from tests.conftest import Platform
from tests.hands import status_of, work

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]
DAY_S = 86_400


def born(days_ago: float) -> UUID:
    with patch("time.time_ns", return_value=int((time.time() - days_ago * DAY_S) * 1e9)):
        return ids.uuid7()


def age(platform: Platform, job_id: UUID, days: float) -> None:
    platform.execute(
        "UPDATE jobs SET finished_at = now() - make_interval(secs => :s) WHERE id = :id", id=job_id, s=days * DAY_S
    )


def test_ended_jobs_go_with_result_and_events_when_their_tiers_time_is_over(
    platform: Platform, new_job: NewJob
) -> None:
    free, pro = platform.new_tenant("free")[0], platform.new_tenant("pro")[0]
    old_free, old_pro, new_free = (
        new_job(id=born(days), caller=caller) for caller, days in ((free, 8), (pro, 8), (free, 6))
    )
    work(platform)
    for job in (old_free, old_pro):
        age(platform, job, 7.5)
    assert retention.purge(platform.engine, platform.store) == 1
    left = {row[0] for row in platform.rows("SELECT id FROM jobs")}
    assert left == {old_pro, new_free}
    for table in ("job_results", "job_events"):
        assert {row[0] for row in platform.rows(f"SELECT job_id FROM {table}")} == left
    assert platform.one("SELECT count(*) FROM usage WHERE job_id = :id", id=old_free) == (1,)


def test_what_has_not_ended_or_ended_lately_stays_however_old_it_is(platform: Platform, new_job: NewJob) -> None:
    ended, waiting = new_job(id=born(90)), new_job(id=born(90), priority="low")
    platform.execute("UPDATE jobs SET status = 'canceled' WHERE id = :id", id=ended)
    assert retention.purge(platform.engine, platform.store) == 0
    assert (status_of(platform, ended), status_of(platform, waiting)) == ("canceled", "pending")


def test_it_goes_in_small_steps_the_oldest_first(
    platform: Platform, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LIMIT", 4)
    jobs = [new_job(id=born(90 + days)) for days in range(10)]
    platform.execute("UPDATE jobs SET status = 'canceled', finished_at = now() - interval '40 days'")
    assert retention.purge(platform.engine, platform.store) == 4
    assert [row[0] for row in platform.rows("SELECT id FROM jobs ORDER BY id DESC")] == jobs[:6]
    assert [retention.purge(platform.engine, platform.store) for _ in range(3)] == [4, 2, 0]
    caller, _ = platform.new_tenant()
    jobs = [new_job(id=born(90 + days), caller=caller) for days in range(10)]
    platform.execute("UPDATE jobs SET status = 'canceled', finished_at = now() - interval '40 days'")
    assert retention.purge(platform.engine, platform.store) == 4
    # The oldest go first.
    assert {row[0] for row in platform.rows("SELECT id FROM jobs")} == {*jobs[:6]}
    assert [retention.purge(platform.engine, platform.store) for _ in range(3)] == [4, 2, 0]


def test_what_a_part_of_a_file_came_to_is_kept_as_long_as_the_file(platform: Platform) -> None:
    file = factories.job(platform, factories.tenant(platform), kind="bulk", id=born(90), status="completed")
    over: dict[str, Any] = {"id": born(90), "status": "completed", "finished_at": text("now() - interval '40 d'")}
    part = factories.chunk(platform, file, **over)["id"]
    assert retention.purge(platform.engine, platform.store) == 0
    assert status_of(platform, part) == "completed"


def test_a_step_is_as_small_when_it_is_many_tenants_that_have_old_jobs(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LIMIT", 4)
    for _ in range(2):
        tenant = factories.tenant(platform)
        for _ in range(3):
            factories.job(platform, tenant, id=born(90), status="failed", finished_at=text("now() - interval '40 d'"))
    assert [retention.purge(platform.engine, platform.store) for _ in range(3)] == [4, 2, 0]


def test_a_file_goes_with_its_parts_and_chunks_in_small_steps_and_nobody_elses(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LIMIT", 2)
    tenant = factories.tenant(platform)
    over: dict[str, Any] = {"finished_at": text("now() - interval '40 d'"), "status": "completed"}
    old, new = (factories.job(platform, tenant, kind="bulk", id=born(90), **given) for given in (over, {}))
    for bulk in (old, new):
        mine = [
            bulk, *(factories.chunk(platform, bulk, part=part, **(over if bulk is old else {})) for part in range(3)),
        ]  # fmt: skip
        for job in mine:
            factories.add(platform, models.JobEvent, job_id=job["id"])
        platform.store.put(f"{folder(bulk['id'])}output.1.jsonl", b"{}")
    assert [retention.purge(platform.engine, platform.store) for _ in range(3)] == [2, 2, 0]
    left = platform.rows("SELECT id, parent_id FROM jobs WHERE kind IN ('bulk', 'chunk')")
    assert {row[1] or row[0] for row in left} == {new["id"]}
    assert len(left) == 4
    assert {row[0] for row in platform.rows("SELECT job_id FROM job_events")} == {row[0] for row in left}
    there = [platform.store.head(f"{folder(bulk['id'])}output.1.jsonl") is not None for bulk in (old, new)]
    assert there == [False, True]


def test_a_large_result_goes_with_its_job_and_nobody_elses(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    kept = []
    for days in (40, 1):
        given = {"status": "completed", "finished_at": text(f"now() - interval '{days} d'")}
        job = factories.job(platform, tenant, id=born(90), **given)["id"]
        key = f"{kinds.PREDICT.folder(job)}1.json"
        platform.store.put(key, b"{}")
        factories.add(platform, models.JobResult, job_id=job, body={"form": "stored", "stored_key": key, "bytes": 2})
        kept.append(key)
    assert retention.purge(platform.engine, platform.store) == 1
    assert [platform.store.head(key) is not None for key in kept] == [False, True]


def test_the_store_is_asked_about_those_alone_that_may_have_something_there(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = factories.tenant(platform)
    ended = {"status": "completed", "finished_at": text("now() - interval '40 d'")}
    small, large = (factories.job(platform, tenant, id=born(90), **ended)["id"] for _ in range(2))
    factories.add(platform, models.JobResult, job_id=small, body={"form": "record", "fields": {}})
    stored = {"form": "stored", "stored_key": f"{kinds.PREDICT.folder(large)}1.json", "bytes": 2}
    factories.add(platform, models.JobResult, job_id=large, body=stored)
    asked: list[str] = []
    monkeypatch.setattr(platform.store, "delete_all", asked.append)
    assert retention.purge(platform.engine, platform.store) == 2
    assert asked == [kinds.PREDICT.folder(large)]


def test_a_result_in_which_a_client_hid_a_nul_is_forgotten_as_any_other(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    ended = {"status": "completed", "finished_at": text("now() - interval '40 d'")}
    job = factories.job(platform, tenant, id=born(90), **ended)["id"]
    body = {"form": "several", "items": [{"form": "fault", "error": {"details": {"field": "inputs.0.\0"}}}]}
    factories.add(platform, models.JobResult, job_id=job, body=body)
    assert retention.purge(platform.engine, platform.store) == 1


def test_what_an_earlier_release_stored_as_an_object_goes_with_its_job(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    ended = {"status": "completed", "finished_at": text("now() - interval '40 d'")}
    job = factories.job(platform, tenant, id=born(90), **ended)["id"]
    key = f"{kinds.PREDICT.folder(job)}1.json"
    platform.store.put(key, b"{}")
    factories.add(platform, models.JobResult, job_id=job, body={"stored_key": key, "bytes": 2})
    assert retention.purge(platform.engine, platform.store) == 1
    assert platform.store.head(key) is None


def test_a_worker_that_has_been_silent_for_a_day_is_forgotten(platform: Platform) -> None:
    for name, hours in (("a/1", 25), ("b/1", 23)):
        factories.add(platform, models.Worker, name=name, seen_at=text(f"now() - interval '{hours} h'"))
    assert presence.purge(platform.engine) == 1
    assert platform.rows("SELECT name FROM workers") == [("b/1",)]
