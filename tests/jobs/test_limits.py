"""Every limit of the queue: one below it, at it, one above it, and what gives it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, text

import models
from core import errors
from jobs import backlog, chores, events, figures, place, queries, rescue, settle
from jobs.backlog import Backlog
from jobs.follower import Follower
from jobs.job import Claimed
from tests import factories
from tests.conftest import Platform
from tests.factories import PAST, SOON
from tests.hands import clean_up, complete, status_of, take, took

MAX_BATCH = 4
Make = Callable[..., UUID]


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


@pytest.fixture
def lane(new_lane: Callable[[int], dict[str, str]]) -> dict[str, str]:
    return new_lane(MAX_BATCH)


@pytest.fixture
def make(platform: Platform, lane: dict[str, str]) -> Make:
    """A job in that lane, behind those that were made before."""
    made = 0

    def put(tenant: UUID, **given: Any) -> UUID:
        nonlocal made
        made += 1
        fair_at = func.now() - text("interval '1 h'") + text(f"interval '{made} s'")
        return UUID(str(factories.job(platform, tenant, **{"fair_at": fair_at, **lane, **given})["id"]))

    return put


def claimed(platform: Platform) -> list[UUID]:
    batch = take(platform)
    return [] if batch is None else [job.id for job in batch.jobs]


@pytest.mark.parametrize(("running", "taken"), [(0, 3), (1, 2), (2, 1), (3, 0), (4, 0)])
def test_a_tenant_is_given_no_more_than_what_is_left_of_its_max_running(
    platform: Platform, make: Make, running: int, taken: int
) -> None:
    tenant = factories.tenant(platform, max_running=3)
    for _ in range(running):
        make(tenant, status="processing")
    waiting = [make(tenant) for _ in range(5)]
    assert claimed(platform) == waiting[:taken]


def test_of_jobs_at_one_place_a_tenant_at_its_limit_runs_those_that_were_handed_in_first(
    platform: Platform, make: Make
) -> None:
    tenant = factories.tenant(platform, max_running=2)
    in_order = sorted(make(tenant, fair_at=PAST) for _ in range(MAX_BATCH))
    # All of one moment, whose places were made in different transactions.
    platform.execute("UPDATE jobs SET fair_at = now() - interval '1 h'")
    assert claimed(platform) == in_order[:2]


def test_a_job_that_lost_a_worker_runs_alone(platform: Platform, make: Make) -> None:
    tenant = factories.tenant(platform)
    lost, *others = make(tenant, lost_count=1), make(tenant), make(tenant)
    first, second = take(platform), take(platform)
    assert first
    assert second
    # Behind the one there may be more; behind less than a batch there is nothing.
    assert [([job.id for job in batch.jobs], batch.full) for batch in (first, second)] == [
        ([lost], True), (others, False),
    ]  # fmt: skip


@pytest.mark.parametrize("ends", ["completed", "given back", "failed", "canceled", "rescued", "parked"])
def test_a_place_of_max_running_is_given_back_however_a_job_leaves_it(
    platform: Platform, make: Make, ends: str
) -> None:
    tenant = factories.tenant(platform, max_running=1)
    make(tenant)
    (held,) = took(platform)
    second = make(tenant)
    assert claimed(platform) == []
    if ends == "completed":
        complete(platform, [held])
    elif ends == "given back":
        settle.give_back(platform.engine, [held])
    elif ends == "failed":
        settle.fail(platform.engine, held, errors.ModelError())
    elif ends == "canceled":
        settle.cancel(platform.engine, held)
    elif ends == "rescued":
        rescue.child_died(platform.engine, "wake-1", max_losses=3)
    else:
        platform.execute("UPDATE jobs SET worker = NULL, lease_expires_at = 'infinity' WHERE id = :id", id=held.id)
    platform.execute("UPDATE jobs SET not_before = now() + interval '1 h' WHERE id = :id", id=held.id)
    assert claimed(platform) == [second]


@pytest.mark.parametrize("kind", ["predict", "file"], ids=["in its lane", "in another lane"])
def test_a_tenant_at_its_limit_whose_jobs_stand_at_the_head_holds_up_nobody(
    platform: Platform, make: Make, lane: dict[str, str], kind: str
) -> None:
    full, other = factories.tenant(platform, max_running=2), factories.tenant(platform)
    for _ in range(2):
        make(full, status="processing")
    # As many as a batch of theirs would hold.
    for _ in range(MAX_BATCH):
        make(full)
    # What stands at the head decides which lane it is.
    theirs = make(other, kind=kind, lane=lane["lane"].replace("predict", kind))
    assert claimed(platform) == [theirs]


def test_of_two_tenants_in_one_batch_each_has_its_own_max_running(platform: Platform, make: Make) -> None:
    one, two = (factories.tenant(platform, max_running=limit) for limit in (1, 2))
    make(two, status="processing")
    first, _, third = make(one), make(one), make(two)
    make(two)
    assert claimed(platform) == [first, third]


@pytest.mark.parametrize("jobs", [MAX_BATCH - 1, MAX_BATCH, MAX_BATCH + 1])
def test_a_batch_is_as_large_as_the_model_takes_and_says_whether_it_is_full(
    platform: Platform, make: Make, jobs: int
) -> None:
    tenant = factories.tenant(platform)
    waiting = [make(tenant) for _ in range(jobs)]
    batch = take(platform)
    assert batch is not None
    assert [job.id for job in batch.jobs] == waiting[:MAX_BATCH]
    assert batch.full is (jobs >= MAX_BATCH)
    assert claimed(platform) == waiting[MAX_BATCH:]


def test_a_lane_takes_along_neither_a_job_that_pauses_nor_one_that_has_expired(platform: Platform, make: Make) -> None:
    tenant = factories.tenant(platform)
    first = make(tenant)
    make(tenant, not_before=SOON)
    make(tenant, expires_at=PAST)
    make(tenant, lost_count=1)
    last = make(tenant)
    assert claimed(platform) == [first, last]


@pytest.mark.parametrize("given", [{"not_before": SOON}, {"expires_at": PAST}])
def test_the_head_is_neither_a_job_that_pauses_nor_one_that_has_expired(
    platform: Platform, make: Make, given: dict[str, Any]
) -> None:
    tenant = factories.tenant(platform)
    make(tenant, **given)
    second = make(tenant)
    assert claimed(platform) == [second]


@pytest.mark.parametrize("kind", ["file", "bulk", "chunk"])
def test_what_is_made_from_a_file_is_claimed_one_at_a_time(
    platform: Platform, make: Make, lane: dict[str, str], kind: str
) -> None:
    tenant = factories.tenant(platform)
    place = {"kind": kind, "lane": lane["lane"].replace("predict", kind)}
    waiting = [make(tenant, **place) for _ in range(2)]
    assert [claimed(platform), claimed(platform)] == [[job] for job in waiting]


def held(platform: Platform, make: Make, **given: Any) -> Claimed:
    """A job in somebody's hands."""
    tenant = factories.tenant(platform)
    given = {"attempt": 1, "max_attempts": 4, **given}
    mine = make(tenant, status="processing", **given)
    return Claimed(mine, tenant, "predict", given["attempt"], given["max_attempts"], "m", "1", 300, {}, {}, "req")


@pytest.mark.parametrize(("attempt", "end"), [(1, "pending"), (2, "pending"), (3, "failed"), (4, "failed")])
def test_what_may_heal_is_tried_again_until_max_attempts(
    platform: Platform, make: Make, attempt: int, end: str
) -> None:
    job = held(platform, make, attempt=attempt, max_attempts=3)
    assert settle.fail(platform.engine, job, errors.OutOfMemory("none left"))
    assert status_of(platform, job.id) == end


@pytest.mark.parametrize(
    "write",
    [lambda db, job: settle.give_back(db, [job]), lambda db, job: settle.put_off(db, job, errors.Unavailable())],
    ids=["given back", "put off"],
)
def test_an_attempt_that_was_given_back_or_put_off_is_not_counted(
    platform: Platform, make: Make, write: Callable[..., bool]
) -> None:
    job = held(platform, make, attempt=3, max_attempts=3)
    assert write(platform.engine, job)
    found = platform.one("SELECT status, max_attempts - attempt, lost_count FROM jobs WHERE id = :id", id=job.id)
    assert found == ("pending", 1, 0)


@pytest.mark.parametrize(
    ("lost", "attempt", "end"),
    [(0, 1, "pending"), (1, 1, "pending"), (2, 1, "failed"), (3, 1, "failed"), (0, 3, "pending"), (0, 4, "failed"),
     (0, 5, "failed")],
)  # fmt: skip
def test_a_job_that_lost_its_worker_runs_again_until_max_losses_or_its_last_attempt(
    platform: Platform, make: Make, lost: int, attempt: int, end: str
) -> None:
    job = held(platform, make, lost_count=lost, attempt=attempt, max_attempts=4)
    assert rescue.child_died(platform.engine, "wake-1", max_losses=3) == 1
    found = platform.one("SELECT status, lost_count, error ->> 'code' FROM jobs WHERE id = :id", id=job.id)
    assert found == (end, lost + 1, "WORKER_LOST")


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ({"expires_at": PAST}, ("expired", "EXPIRED")),
        ({"cancel_requested_at": PAST}, ("canceled", None)),
        ({"expires_at": PAST, "cancel_requested_at": PAST}, ("canceled", None)),
        ({"expires_at": PAST, "lost_count": 2}, ("expired", "EXPIRED")),
    ],
)
def test_a_lost_job_past_its_expiry_is_expired_and_one_that_nobody_wants_is_canceled(
    platform: Platform, make: Make, given: dict[str, Any], end: tuple[str, str | None]
) -> None:
    job = held(platform, make, **given)
    rescue.child_died(platform.engine, "wake-1", max_losses=3)
    assert platform.one("SELECT status, error ->> 'code' FROM jobs WHERE id = :id", id=job.id) == end


@pytest.mark.parametrize(("waiting", "admitted"), [(0, True), (2, True), (3, False), (4, False)])
def test_a_tenant_has_no_more_waiting_than_max_pending(
    platform: Platform, make: Make, waiting: int, admitted: bool
) -> None:
    tenant = factories.tenant(platform)
    for _ in range(waiting):
        make(tenant)
    make(tenant, status="processing")
    make(factories.tenant(platform))
    counted = Backlog(platform.engine)
    # Nobody counts on beyond the limit.
    assert counted._room(tenant, 3).left == max(0, 3 - waiting)
    if admitted:
        assert counted.admit(tenant, 3) is (waiting == 0)
        return
    with pytest.raises(errors.BacklogFull, match="3 jobs are waiting") as refused:
        counted.admit(tenant, 3)
    assert refused.value.details == {"limit": 3}


def test_a_place_of_max_pending_is_given_back_when_a_job_starts(
    platform: Platform, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "COUNT_S", -1.0)
    tenant, counted = factories.tenant(platform), Backlog(platform.engine)
    make(tenant)
    with pytest.raises(errors.BacklogFull):
        counted.admit(tenant, 1)
    took(platform)
    assert counted.admit(tenant, 1)


def test_the_chunks_of_a_file_are_not_counted_as_waiting_jobs(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    bulk = factories.parked(platform, tenant)
    for part in range(1, 4):
        factories.chunk(platform, bulk, part=part)
    assert Backlog(platform.engine).admit(tenant, 1)


@pytest.mark.parametrize("step", ["rescue", "expire"])
def test_a_sweep_takes_no_more_than_its_limit_at_once_and_the_next_goes_on(
    platform: Platform, make: Make, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    for module in (rescue, chores):
        monkeypatch.setattr(module, "LIMIT", 2)
    over: dict[str, Any] = {"expires_at": PAST}
    if step == "rescue":
        over = {"status": "processing", "lease_expires_at": PAST}
    tenant = factories.tenant(platform)
    for _ in range(3):
        make(tenant, **over)
    assert [clean_up(platform)[step] for _ in range(3)] == [2, 1, 0]


def test_of_a_jobs_events_no_more_than_the_limit_are_read_at_once_and_all_are_followed(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LIMIT", 2)
    tenant = factories.tenant(platform)
    mine = factories.job(platform, tenant, status="completed")["id"]
    for kind in ("processing", "progress", "progress", "progress", "completed"):
        factories.add(platform, models.JobEvent, job_id=mine, type=kind)
    job = queries.get(platform.engine, tenant, mine)
    assert [event.type for event in events.after(platform.engine, job, 0)] == ["processing", "progress"]
    assert [event.type for event in events.new(platform.engine, {mine: 0})[mine]] == ["processing", "progress"]
    # What was seen already is not told again.
    first, second = (event.id for event in events.after(platform.engine, job, 0))
    for seen in (events.after(platform.engine, job, first), events.new(platform.engine, {mine: first})[mine]):
        assert [event.id for event in seen] == [second, second + 1]
    assert events.new(platform.engine, {mine: second + 3}) == {}
    kinds = [event.type for event in Follower(platform.engine).follow(job, 0) if event]
    assert kinds == ["processing", "progress", "progress", "progress", "completed"]


def test_how_old_the_queue_is_is_told_by_the_job_that_waits_longest(platform: Platform) -> None:
    one, other = (factories.tenant(platform) for _ in range(2))
    for tenant, ago in ((one, 100), (one, 3000), (other, 500)):
        since = text(f"now() - interval '{ago} s'")
        factories.job(platform, tenant, created_at=since, not_before=since)
    (mine,) = [item for item in figures.queues(platform.engine) if item.waiting]
    assert (mine.waiting, round(mine.oldest_s, -2)) == (3, 3000)


def test_a_file_whose_chunk_runs_is_not_counted_as_running_beside_it(platform: Platform) -> None:
    factories.parked(platform, factories.tenant(platform))
    assert [item.running for item in figures.queues(platform.engine) if item.running] == [1]


@pytest.mark.parametrize("worker", [None, "node/a/1"])
def test_a_job_that_waits_is_canceled_at_once_whoever_had_it_before(platform: Platform, worker: str | None) -> None:
    tenant = factories.tenant(platform)
    mine = factories.job(platform, tenant, attempt=1, worker=worker, error={"code": "MODEL_UNAVAILABLE"})["id"]
    found = queries.cancel(platform.engine, tenant, mine)
    assert (found.status, found.error) == ("canceled", None)


def test_before_a_job_are_those_that_wait_and_nobody_else(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    earlier = text("now() - interval '1 h'")
    for given in ({}, {}, {"status": "processing"}, {"status": "completed"}, {"pool": "gpu"}, {"not_before": SOON}):
        factories.job(platform, tenant, fair_at=earlier, **given)
    mine = queries.get(platform.engine, tenant, factories.job(platform, tenant)["id"])
    assert place.place(platform.engine, tenant, mine).ahead == 3


def test_a_file_that_waits_for_its_parts_is_not_counted_as_running_beside_them(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    file = factories.parked(platform, tenant)
    factories.chunk(platform, file, part=1)
    factories.chunk(platform, file, part=2, status="processing")
    # Who had it last is remembered of a job that waits again.
    factories.job(platform, tenant, worker="node/a/1")
    factories.job(platform, tenant, status="completed", worker="node/a/1")
    for status in ("pending", "processing"):
        factories.job(platform, factories.tenant(platform), status=status)
    assert backlog.count(platform.engine, tenant) == backlog.Count(waiting=1, running=2)
