from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy

from core import errors
from core.broker import Line
from jobs import backlog, fairness, floors, kinds
from jobs.backlog import Backlog
from jobs.fairness import Fairness, Place
from jobs.job import Priority
from tests import factories
from tests.conftest import Platform
from tests.hands import complete, take, took

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look is a long one, however busy the machine is."""
    monkeypatch.setattr(floors, "SLOW_S", 3600.0)


def test_a_flood_of_one_tenant_stands_behind_the_first_job_of_another(platform: Platform, new_job: NewJob) -> None:
    for _ in range(600):
        new_job()
    complete(platform, took(platform))
    other, _ = platform.new_tenant()
    late = new_job(caller=other)
    assert late in {job.id for job in took(platform)}


def test_a_flood_alone_is_not_slowed_down(platform: Platform, new_job: NewJob) -> None:
    jobs = {new_job() for _ in range(300)}
    ran = set()
    while batch := take(platform):
        ran |= complete(platform, list(batch.jobs))
    assert ran == jobs


def test_however_old_the_queue_a_newcomer_stands_at_its_head(platform: Platform, new_job: NewJob) -> None:
    for _ in range(600):
        new_job()
    # As if the workers had been away: all of it is due by the clock.
    platform.execute("UPDATE jobs SET fair_at = fair_at - interval '5 min'")
    time.sleep(fairness.LOOK_S)
    other, _ = platform.new_tenant()
    late = new_job(caller=other)
    assert late in {job.id for job in took(platform)}


def test_however_many_wait_no_question_before_a_job_is_stored_is_answered_with_more_than_a_row(
    platform: Platform, new_job: NewJob
) -> None:
    caller, _ = platform.new_tenant()
    for _ in range(5):
        factories.job(platform, caller.tenant_id)
    # What Redis forgot is asked of the database, and what was asked a moment ago is asked again.
    platform.line.redis.delete(fairness._key(caller.tenant_id, "cpu"))
    time.sleep(fairness.LOOK_S)
    answered: dict[str, int] = {}

    def note(_connection: object, cursor: Any, statement: str, *_: object) -> None:
        answered[statement.strip()] = cursor.rowcount

    sqlalchemy.event.listen(platform.engine, "after_cursor_execute", note)
    try:
        new_job(caller=caller)
    finally:
        sqlalchemy.event.remove(platform.engine, "after_cursor_execute", note)
    assert len([statement for statement in answered if "ORDER BY" in statement]) == 2
    assert set(answered.values()) == {1}
    # The next time Redis knows.
    assert platform.line.redis.exists(fairness._key(caller.tenant_id, "cpu"))


def test_tenants_with_a_backlog_take_turns(platform: Platform, new_job: NewJob) -> None:
    callers = [platform.new_tenant()[0] for _ in range(2)]
    for caller in callers:
        for _ in range(300):
            new_job(caller=caller)
        time.sleep(fairness.LOOK_S)
    took(platform)
    shares = platform.rows("SELECT count(*) FROM jobs WHERE status = 'processing' GROUP BY tenant_id")
    assert all(100 < row[0] < 156 for row in shares), shares


def test_urgent_jobs_do_not_drag_everybodys_place_forward(platform: Platform, new_job: NewJob) -> None:
    first = new_job(priority="low")
    for _ in range(3):
        time.sleep(fairness.LOOK_S)
        new_job(priority="high", caller=platform.new_tenant()[0])
    time.sleep(fairness.LOOK_S)
    new_job(caller=platform.new_tenant()[0])
    spread = "SELECT extract(epoch FROM max(fair_at) - min(fair_at)) < 66 FROM jobs"
    assert platform.one(spread) == (True,)
    assert [job.id for job in took(platform)][-1] == first


def test_a_flood_that_is_done_does_not_hold_its_tenant_back(platform: Platform, new_job: NewJob) -> None:
    for _ in range(2000):
        new_job(units=100)
    platform.execute("UPDATE jobs SET status = 'canceled'")
    time.sleep(backlog.COUNT_S)
    again = new_job()
    assert platform.one("SELECT fair_at - created_at < interval '1 s' FROM jobs WHERE id = :id", id=again) == (True,)


def test_a_faster_tier_stands_closer(platform: Platform, new_job: NewJob) -> None:
    free, pro = platform.new_tenant("free")[0], platform.new_tenant("pro")[0]
    for caller in (free, pro):
        for _ in range(40):
            new_job(caller=caller)
    lead = "SELECT max(fair_at) - min(fair_at) FROM jobs WHERE tenant_id = :id"
    assert platform.one(lead, id=free.tenant_id)[0] > platform.one(lead, id=pro.tenant_id)[0]


def test_nobody_new_passes_what_has_waited_for_long(platform: Platform, new_job: NewJob) -> None:
    old = [new_job() for _ in range(20)]
    platform.execute("UPDATE jobs SET fair_at = fair_at - make_interval(secs => :s)", s=fairness.AGE_S + 60)
    time.sleep(fairness.LOOK_S)
    late = new_job(caller=platform.new_tenant()[0])
    found = [job.id for job in took(platform)]
    assert (set(found[:-1]), found[-1]) == (set(old), late)


@pytest.mark.parametrize("redis", ["emptied", "away"])
def test_nothing_passes_its_tenants_earlier_jobs_when_redis_forgets(
    platform: Platform, new_job: NewJob, redis: str
) -> None:
    jobs = [new_job() for _ in range(20)]
    # All in one place: a job's is told when it is asked for, and written a moment later, which is longer for some.
    platform.execute("UPDATE jobs SET fair_at = now() - interval '1 min'")
    time.sleep(fairness.LOOK_S)
    if redis == "away":
        platform.engines.stop("valkey")
    else:
        platform.submitter._fairness._line.redis.flushall()
    try:
        late = [new_job() for _ in range(3)]
        found = [job.id for job in took(platform)]
        assert (set(found[:20]), set(found[20:])) == (set(jobs), set(late))
    finally:
        if redis == "away":
            platform.engines.start("valkey")


def test_of_two_doors_that_ask_for_a_tenant_nobody_knows_the_second_stands_behind_the_first(platform: Platform) -> None:
    caller, _ = platform.new_tenant()
    tier = dataclasses.replace(caller.tier, pace=0.1)
    place = Place(caller.tenant_id, tier, "cpu", kinds.PREDICT, Priority.NORMAL, cost=1)
    others: list[float] = []
    # One that has not met a Redis that was away.
    line = Line(platform.settings.queue.redis_url)

    @sqlalchemy.event.listens_for(platform.engine, "before_cursor_execute")
    def meanwhile(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        # Redis did not know the tenant, and the database is being asked.
        if "tenant_id" in statement and not others:
            others.append(0.0)
            others[:] = Fairness(platform.engine, line).offsets_s([place])

    try:
        [second] = Fairness(platform.engine, line).offsets_s([place])
    finally:
        sqlalchemy.event.remove(platform.engine, "before_cursor_execute", meanwhile)
    assert second - others[0] == pytest.approx(10, abs=5)


@pytest.mark.parametrize(
    "given",
    [{"pool": "gpu"}, {"status": "processing"}, {"status": "completed"}, {"kind": "chunk", "parent_id": uuid4()}],
    ids=["in another pool", "running", "ended", "a part of a file"],
)
def test_a_newcomer_stands_behind_nobody_elses_last_job_and_behind_no_own_one_that_does_not_wait_here(
    platform: Platform, new_job: NewJob, given: dict[str, Any]
) -> None:
    caller, _ = platform.new_tenant()
    factories.job(platform, factories.tenant(platform), fair_at=factories.SOON)
    factories.job(platform, caller.tenant_id, fair_at=factories.SOON, **given)
    late = new_job(caller=caller)
    found = platform.one("SELECT fair_at < now() + interval '30 min' FROM jobs WHERE id = :id", id=late)
    assert found == (True,)


@pytest.mark.parametrize("given", [{"pool": "gpu"}, {"status": "processing"}, {"status": "completed"}], ids=str)
def test_a_newcomer_stands_before_nobody_for_an_old_job_that_does_not_wait_here(
    platform: Platform, given: dict[str, Any]
) -> None:
    old = sqlalchemy.text("now() - interval '5 min'")
    factories.job(platform, factories.tenant(platform), fair_at=old, **given)
    caller, _ = platform.new_tenant()
    place = Place(caller.tenant_id, caller.tier, "cpu", kinds.PREDICT, Priority.NORMAL, cost=1)
    [offset_s] = Fairness(platform.engine, platform.line).offsets_s([place])
    assert abs(offset_s) < 60


def test_what_is_handed_in_stands_behind_the_job_that_was_handed_in_last_wherever_others_stand(
    platform: Platform, new_job: NewJob
) -> None:
    caller, _ = platform.new_tenant()
    # Of a lower priority, and so far behind; the next one is not.
    factories.job(platform, caller.tenant_id, fair_at=factories.SOON)
    factories.job(platform, caller.tenant_id)
    late = new_job(caller=caller)
    found = platform.one("SELECT fair_at < now() + interval '30 min' FROM jobs WHERE id = :id", id=late)
    assert found == (True,)


def test_without_redis_a_newcomer_stands_at_the_head(platform: Platform, new_job: NewJob) -> None:
    for _ in range(300):
        new_job()
    platform.engines.stop("valkey")
    try:
        late = new_job(caller=platform.new_tenant()[0])
        assert late in {job.id for job in took(platform)}
    finally:
        platform.engines.start("valkey")


def test_a_tenant_runs_no_more_jobs_at_once_than_its_tier_allows(platform: Platform, new_job: NewJob) -> None:
    caller, _ = platform.new_tenant("free")
    for _ in range(caller.tier.max_running + 20):
        new_job(caller=caller)
    first = took(platform)
    assert len(first) == caller.tier.max_running
    assert take(platform) is None
    other = new_job()
    assert [job.id for job in took(platform)] == [other]
    complete(platform, first)
    assert len(took(platform)) == 20


def test_a_tenant_may_have_no_more_waiting_than_its_tier_allows(
    platform: Platform, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is admitted here is not stored, and would be forgotten by the next count.
    monkeypatch.setattr(backlog, "COUNT_S", 600.0)
    caller, _ = platform.new_tenant()
    for _ in range(3):
        new_job(caller=caller)
    counted = Backlog(platform.engine)
    for _ in range(2):
        counted.admit(caller.tenant_id, 5)
    with pytest.raises(errors.BacklogFull, match="5 jobs"):
        counted.admit(caller.tenant_id, 5)
    # Of whom nothing waited, something does once it was admitted.
    other, _ = platform.new_tenant()
    assert [counted.admit(other.tenant_id, 5) for _ in range(2)] == [True, False]


def test_what_waits_for_one_pool_puts_nothing_back_in_another(platform: Platform, new_job: NewJob) -> None:
    for _ in range(2):
        new_job(pool="gpu", units=1_000_000)
    new_job(pool="cpu")
    last = platform.one("SELECT fair_at - now() > interval '1 s' FROM jobs WHERE pool = 'gpu' ORDER BY id DESC LIMIT 1")
    assert last == (True,)
    assert platform.one("SELECT fair_at - now() < interval '1 s' FROM jobs WHERE pool = 'cpu'") == (True,)


def test_where_a_tenant_stands_is_forgotten_a_day_after_its_last_job(platform: Platform, new_job: NewJob) -> None:
    new_job()
    tenant = platform.one("SELECT tenant_id FROM jobs")[0]
    redis = platform.line.redis
    (key,) = redis.keys(f"*fair:cpu:{tenant.hex}")
    assert 86_000 < redis.ttl(key) <= 86_400
