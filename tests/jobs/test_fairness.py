from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from core import errors
from jobs.backlog import Backlog
from tests.conftest import Platform
from tests.hands import complete, take, took

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]


def test_a_flood_of_one_tenant_stands_behind_the_first_job_of_another(platform: Platform, new_job: NewJob) -> None:
    for _ in range(600):
        new_job()
    complete(platform, took(platform))
    other, _ = platform.new_tenant()
    late = new_job(tenant_id=other.tenant_id, tier=other.tier)
    assert late in {job.id for job in took(platform)}


def test_a_flood_alone_is_not_slowed_down(platform: Platform, new_job: NewJob) -> None:
    jobs = {new_job() for _ in range(300)}
    ran = set()
    while batch := take(platform):
        ran |= complete(platform, list(batch.jobs))
    assert ran == jobs


def test_a_faster_tier_stands_closer(platform: Platform, new_job: NewJob) -> None:
    free, pro = platform.new_tenant("free")[0], platform.new_tenant("pro")[0]
    for caller in (free, pro):
        for _ in range(40):
            new_job(tenant_id=caller.tenant_id, tier=caller.tier)
    lead = "SELECT max(fair_at) - min(fair_at) FROM jobs WHERE tenant_id = :id"
    assert platform.one(lead, id=free.tenant_id)[0] > platform.one(lead, id=pro.tenant_id)[0]  # type: ignore[operator]


def test_without_redis_a_job_stands_at_now(platform: Platform, new_job: NewJob) -> None:
    platform.engines.stop("valkey")
    try:
        for _ in range(3):
            new_job()
        assert platform.one("SELECT max(fair_at - created_at) = interval '0' FROM jobs") == (True,)
    finally:
        platform.engines.start("valkey")


def test_a_tenant_runs_no_more_jobs_at_once_than_its_tier_allows(platform: Platform, new_job: NewJob) -> None:
    caller, _ = platform.new_tenant("free")
    for _ in range(caller.tier.max_running + 20):
        new_job(tenant_id=caller.tenant_id, tier=caller.tier)
    first = took(platform)
    assert len(first) == caller.tier.max_running
    assert take(platform) is None
    other = new_job()
    assert [job.id for job in took(platform)] == [other]
    complete(platform, first)
    assert len(took(platform)) == 20


def test_a_tenant_may_have_no_more_waiting_than_its_tier_allows(platform: Platform, new_job: NewJob) -> None:
    caller, _ = platform.new_tenant()
    for _ in range(3):
        new_job(tenant_id=caller.tenant_id, tier=caller.tier)
    backlog = Backlog(platform.engine)
    for _ in range(2):
        backlog.admit(caller.tenant_id, 5)
    with pytest.raises(errors.BacklogFull, match="5 jobs"):
        backlog.admit(caller.tenant_id, 5)
