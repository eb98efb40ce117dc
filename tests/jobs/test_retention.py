from __future__ import annotations

import time
from collections.abc import Callable
from unittest.mock import patch
from uuid import UUID

import pytest

from core import ids
from jobs import retention
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
        new_job(id=born(days), tenant_id=caller.tenant_id, tier=caller.tier)
        for caller, days in ((free, 8), (pro, 8), (free, 6))
    )
    work(platform)
    for job in (old_free, old_pro):
        age(platform, job, 7.5)
    assert retention.purge(platform.engine, platform.store) == 1
    left = {row[0] for row in platform.rows("SELECT id FROM jobs")}
    assert left == {old_pro, new_free}
    for table in ("job_results", "job_events"):
        assert platform.one(f"SELECT count(*) FROM {table} WHERE job_id = :id", id=old_free) == (0,)
    assert platform.one("SELECT count(*) FROM usage WHERE job_id = :id", id=old_free) == (1,)


def test_what_has_not_ended_or_ended_lately_stays_however_old_it_is(platform: Platform, new_job: NewJob) -> None:
    ended, waiting = new_job(id=born(90)), new_job(id=born(90), priority="low")
    platform.execute("UPDATE jobs SET status = 'canceled' WHERE id = :id", id=ended)
    assert retention.purge(platform.engine, platform.store) == 0
    assert (status_of(platform, ended), status_of(platform, waiting)) == ("canceled", "pending")


def test_it_goes_in_small_steps(platform: Platform, new_job: NewJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LIMIT", 4)
    for _ in range(10):
        new_job(id=born(90))
    platform.execute("UPDATE jobs SET status = 'canceled', finished_at = now() - interval '40 days'")
    assert [retention.purge(platform.engine, platform.store) for _ in range(4)] == [4, 4, 2, 0]
