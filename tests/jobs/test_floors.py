"""Where a look at the whole queue takes long, claims begin where the last one was, and nothing waits for ever."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from core.broker import KEY_PREFIX
from core.chores import Chore
from jobs import chores, claim, fairness, floors, rescue
from jobs.drain import Drainer
from jobs.fairness import Fairness, Place
from jobs.floors import Floors
from jobs.job import Priority
from jobs.kinds import find
from tests import factories, hands
from tests.conftest import Platform, until
from tests.hands import take

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]
#: Seconds before now.
BACKLOG, BEFORE = 100.0, 200.0


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a look takes, it is long, and the next one is hours away."""
    monkeypatch.setattr(floors, "SLOW_S", 0.0)
    monkeypatch.setattr(floors, "AGAIN_S", 3600.0)


@pytest.fixture
def one(platform: Platform) -> Callable[[Floors], list[UUID]]:
    """What the next claim takes, a job at a time as their lanes are their own."""

    def claimed(claims: Floors) -> list[UUID]:
        def behind(floor: dt.datetime | None) -> claim.Batch | None:
            return claim.claim(
                platform.engine, pool="cpu", worker="node/inc/1", wake_id="wake-1", lease_s=60, floor=floor
            )

        batch = claims.look("cpu", behind)
        return [job.id for job in batch.jobs] if batch else []

    return claimed


def stands(platform: Platform, ago_s: float, **more: object) -> UUID:
    """A job alone in its lane, whose place is so long ago."""
    fair_at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago_s)
    lane = factories.unique("lane")
    return UUID(str(factories.job(platform, factories.tenant(platform), fair_at=fair_at, lane=lane, **more)["id"]))


def test_a_claim_after_a_slow_look_begins_where_the_last_one_was(
    platform: Platform, slow: None, one: Callable[[Floors], list[UUID]]
) -> None:
    claims, first, second = Floors(), stands(platform, BACKLOG), stands(platform, BACKLOG - 1)
    assert one(claims) == [first]
    before = stands(platform, BEFORE)
    assert one(claims) == [second]
    assert one(claims) == []
    # Who has not looked yet, looks at all.
    assert one(Floors()) == [before]


def test_what_stands_before_a_floor_does_not_come_along_with_its_lane(platform: Platform) -> None:
    tenant, now = factories.tenant(platform), dt.datetime.now(dt.UTC)
    _, mine = (
        factories.job(platform, tenant, fair_at=now - dt.timedelta(seconds=ago_s))["id"] for ago_s in (BEFORE, BACKLOG)
    )
    floor = now - dt.timedelta(seconds=(BEFORE + BACKLOG) / 2)
    batch = claim.claim(platform.engine, pool="cpu", worker="n/i/1", wake_id="wake-1", lease_s=60, floor=floor)
    assert batch is not None
    assert [job.id for job in batch.jobs] == [mine]


def test_a_quick_look_is_at_all_of_the_queue_each_time(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, one: Callable[[Floors], list[UUID]]
) -> None:
    monkeypatch.setattr(floors, "SLOW_S", 3600.0)
    claims, first = Floors(), stands(platform, BACKLOG)
    assert one(claims) == [first]
    before = stands(platform, BEFORE)
    assert one(claims) == [before]


def test_what_stands_before_it_is_taken_at_the_next_look_at_all(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, slow: None, one: Callable[[Floors], list[UUID]]
) -> None:
    monkeypatch.setattr(floors, "AGAIN_S", 0.0)
    monkeypatch.setattr(floors, "SHARE", 1e9)
    claims, first = Floors(), stands(platform, BACKLOG)
    assert one(claims) == [first]
    before = stands(platform, BEFORE)
    assert one(claims) == [before]


def test_a_look_that_took_for_ever_puts_the_next_one_off_for_seconds(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, slow: None, one: Callable[[Floors], list[UUID]]
) -> None:
    monkeypatch.setattr(floors, "AGAIN_S", 0.0)
    monkeypatch.setattr(floors, "SHARE", 1e-9)
    claims, first = Floors(), stands(platform, BACKLOG)
    began = time.monotonic()
    assert one(claims) == [first]
    assert began < claims._found["cpu"].until <= time.monotonic() + floors.LATEST_S
    monkeypatch.setattr(floors, "LATEST_S", 0.0)
    claims, second = Floors(), stands(platform, BACKLOG)
    assert one(claims) == [second]
    before = stands(platform, BEFORE)
    assert one(claims) == [before]


def test_a_slow_look_that_finds_nothing_goes_on_where_the_last_one_was(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, slow: None, one: Callable[[Floors], list[UUID]]
) -> None:
    claims, first = Floors(), stands(platform, BACKLOG)
    assert one(claims) == [first]
    claims._found["cpu"].until = 0.0
    assert one(claims) == []
    stands(platform, BEFORE)
    assert one(claims) == []


def test_who_finds_nothing_looks_at_all_once_that_is_due_however_long_a_look_takes(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, slow: None, one: Callable[[Floors], list[UUID]]
) -> None:
    claims, first, second = Floors(), stands(platform, BACKLOG), stands(platform, BACKLOG - 1)
    assert one(claims) == [first]
    before = stands(platform, BEFORE)
    claims._found["cpu"].idle_at = 0.0
    assert one(claims) == [second]
    assert one(claims) == [before]


@pytest.mark.parametrize("priority", list(Priority))
@pytest.mark.parametrize("head", list(Priority))
@pytest.mark.parametrize("ago_s", [BACKLOG, -BACKLOG])
def test_whoever_comes_new_does_not_stand_before_it(
    platform: Platform,
    slow: None,
    one: Callable[[Floors], list[UUID]],
    head: Priority,
    priority: Priority,
    ago_s: float,
) -> None:
    claims, first = Floors(), stands(platform, ago_s, priority=head)
    stands(platform, ago_s - 0.01, priority=head)  # who waits behind
    caller, _ = platform.new_tenant()
    assert one(claims) == [first]
    place = Place(caller.tenant_id, caller.tier, "cpu", find("predict"), priority, 1)
    [offset_s] = Fairness(platform.engine, platform.line).offsets_s([place])
    new = stands(platform, -offset_s, priority=priority)
    taken: list[UUID] = []
    while found := one(claims):
        taken += found
    assert new in taken


def test_a_worker_begins_where_its_last_look_at_the_queue_was(platform: Platform, slow: None, drainer: Drainer) -> None:
    mine = dataclasses.replace(drainer, floors=Floors())
    for ago_s in (BACKLOG, BACKLOG - 1):
        stands(platform, ago_s)
    assert mine.drain("cpu", "wake") == 2
    stands(platform, BEFORE)
    assert mine.drain("cpu", "wake") == 0
    assert dataclasses.replace(drainer, floors=Floors()).drain("cpu", "wake") == 1


def newcomer(platform: Platform, fairly: Fairness) -> float:
    """Where the first job of a new tenant stands, in seconds from now."""
    caller, _ = platform.new_tenant()
    [offset_s] = fairly.offsets_s([Place(caller.tenant_id, caller.tier, "cpu", find("predict"), Priority.NORMAL, 1)])
    return offset_s


@pytest.mark.parametrize("long", [True, False])
def test_where_a_look_takes_long_virtual_time_is_where_the_head_was_last(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    monkeypatch.setattr(floors, "SLOW_S", 0.0 if long else 3600.0)
    monkeypatch.setattr(floors, "AGAIN_S", 3600.0)
    monkeypatch.setattr(fairness, "LOOK_S", 0.0)
    found = Fairness(platform.engine, platform.line)
    # Of another pool, or of none any more.
    for other in ({"pool": "gpu"}, {"status": "processing"}, {"status": "completed"}):
        stands(platform, 2 * BEFORE, **other)
    stands(platform, BACKLOG)
    assert newcomer(platform, found) == pytest.approx(-BACKLOG, abs=5)
    stands(platform, BEFORE)
    assert newcomer(platform, found) == pytest.approx(-BACKLOG if long else -BEFORE, abs=5)
    assert newcomer(platform, Fairness(platform.engine, platform.line)) == pytest.approx(-BEFORE, abs=5)


def test_what_a_worker_holds_whose_lease_is_over_keeps_its_tenant_from_nothing(platform: Platform) -> None:
    tenant = factories.tenant(platform, max_running=1)
    held, waits = (UUID(str(factories.job(platform, tenant)["id"])) for _ in range(2))
    batch = take(platform)
    assert batch
    assert len(batch.jobs) == 1
    assert take(platform) is None
    platform.execute("UPDATE jobs SET lease_expires_at = now() WHERE status = 'processing'")
    again = take(platform)
    assert again
    assert {again.jobs[0].id, batch.jobs[0].id} == {held, waits}


def chore(platform: Platform, name: str) -> Chore:
    """One process's own."""
    [found] = [item for item in hands.chores(platform) if item.name == name]
    return found


@pytest.mark.parametrize("name", ["rescue", "expire"])
def test_where_a_look_takes_long_a_sweep_over_leases_begins_where_all_was_found_that_was_over(
    platform: Platform, slow: None, name: str
) -> None:
    mine, tenant = chore(platform, name), factories.tenant(platform)

    def held(lease_s: float) -> None:
        ends_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=lease_s)
        over = {"expires_at": factories.PAST} if name == "expire" else {}
        factories.job(platform, tenant, status="processing", lease_expires_at=ends_at, **over)

    held(-BACKLOG)
    assert [mine.run(), mine.run()] == [1, 0]
    held(-BACKLOG)
    assert mine.run() == 0
    held(BACKLOG if name == "expire" else 0.1)
    until(lambda: mine.run() == 1)
    # Who has not looked yet, looks at all.
    assert chore(platform, name).run() == 1


def test_where_a_sweep_leaves_some_for_the_next_time_that_one_finds_them(
    platform: Platform, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescue, "LIMIT", 1)
    monkeypatch.setattr(chores, "LIMIT", 1)
    mine, tenant = chore(platform, "rescue"), factories.tenant(platform)
    for _ in range(3):
        factories.job(platform, tenant, status="processing", lease_expires_at=factories.PAST)
    assert [mine.run() for _ in range(4)] == [1, 1, 1, 0]


def test_where_a_look_takes_long_a_pool_is_woken_for_what_stands_behind_the_head(
    platform: Platform, slow: None
) -> None:
    mine, first, second = chore(platform, "wake"), stands(platform, BACKLOG), stands(platform, BACKLOG / 2)

    def runs() -> int:
        platform.line.redis.delete(f"{KEY_PREFIX}hint:cpu")
        return mine.run()

    # The head is the first of them.
    for waited in (second, first):
        assert runs() == 1
        platform.execute("UPDATE jobs SET status = 'canceled' WHERE id = :id", id=waited)
    stands(platform, BEFORE)
    assert runs() == 0
    stands(platform, BACKLOG - 1)
    assert runs() == 1
