"""Rates as time passes: what is in hand grows old, a bucket fills, and turns lie as far apart as they cost."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Callable

import pytest

from access import rates
from access.rates import Policy, Rates
from core import errors
from core.broker import Line
from tests.access.conftest import Clock
from tests.access.test_rates import Counted, asked, lose_redis
from tests.conftest import Platform

#: A token in three seconds; and so many that a process takes sixty ahead.
SLOW, LARGE = Policy("units", per_minute=20, burst=20), Policy("units", per_minute=6000, burst=1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rates, "time", made)
    return made


@pytest.fixture
def process(platform: Platform, clock: Clock) -> Callable[[], Rates]:
    platform.line.redis.delete("coatcheck:rates")
    return lambda: Rates(Counted(platform.settings.queue.redis_url))


@pytest.fixture
def party() -> str:
    return uuid.uuid4().hex


def waits(made: Rates, policy: Policy, party: str, cost: int, tries: int) -> list[float]:
    """What each of so many is told who are sent away."""
    found = []
    for _ in range(tries):
        with pytest.raises(errors.RateLimited) as refused:
            made.take(policy, party, cost)
        found.append(refused.value.retry_after_s)
    return found


def apart(found: list[float]) -> list[float]:
    return [later - sooner for sooner, later in itertools.pairwise(found)]


def test_what_was_taken_ahead_is_spent_without_asking_for_six_seconds(
    process: Callable[[], Rates], party: str, clock: Clock
) -> None:
    made = process()
    for passed_s, times in ((0.0, 1), (5.9, 1), (0.2, 2), (5.0, 2)):
        clock.now_s += passed_s
        made.take(LARGE, party)
        assert asked(made) == times


def test_a_bucket_that_fills_is_told_so_without_asking_and_never_as_fuller_than_it_is(
    process: Callable[[], Rates], party: str, clock: Clock
) -> None:
    made = process()
    made.take(SLOW, party, 5)
    for passed_s, left, full_in_s in ((0.0, 15, 15), (10.0, 18, 6), (1e6, 20, 0)):
        clock.now_s += passed_s
        found = made.standing(SLOW, party)
        assert found.remaining == left
        assert found.full_in_s == pytest.approx(full_in_s)
    assert asked(made) == 1


def test_turns_lie_apart_by_what_each_costs_and_by_how_many_processes_tell_them(
    process: Callable[[], Rates], party: str
) -> None:
    made, policy = process(), Policy("units", per_minute=60, burst=6)
    made.take(policy, party, 6)
    assert apart(waits(made, policy, party, 3, 4)) == [6, 6, 6]
    process().take(policy, uuid.uuid4().hex)
    other = uuid.uuid4().hex
    made.take(policy, other, 6)
    assert apart(waits(made, policy, other, 1, 4)) == [4, 4, 4]


def test_a_limit_that_was_looked_up_anew_and_is_the_same_refuses_on_without_asking(
    process: Callable[[], Rates], party: str
) -> None:
    made = process()
    made.take(SLOW, party, 20)
    waits(made, SLOW, party, 1, 1)
    before = asked(made)
    waits(made, Policy("units", SLOW.per_minute, SLOW.burst), party, 1, 2)
    assert asked(made) == before


def test_without_redis_an_old_lease_is_spent_to_its_end_and_not_beyond_one_s_own_share(
    process: Callable[[], Rates], party: str, clock: Clock
) -> None:
    made = process()
    made.take(LARGE, party)
    lose_redis(made)
    made._processes = 1000
    clock.now_s += rates.LEASE_S + 1
    taken = 0
    for _ in range(200):
        with contextlib.suppress(errors.RateLimited):
            made.take(LARGE, party)
            taken += 1
    # Of the sixty that were taken ahead all but the first, and one of its own.
    assert taken == 60


def test_parties_that_were_just_there_are_remembered_however_many_there_are(
    process: Callable[[], Rates], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MOST_LEASES", 3)
    made, parties = process(), [uuid.uuid4().hex for _ in range(6)]
    for one in parties:
        made.take(LARGE, one)
        clock.now_s += 0.5
    before = asked(made)
    for one in parties:
        made.take(LARGE, one)
    assert asked(made) == before


@pytest.mark.parametrize(
    ("whole", "share", "part"), [((40, 80), 0.25, (10, 20)), ((3, 2), 0.25, (1, 1)), ((7, 7), 0.25, (1, 1))]
)
def test_a_part_of_a_bucket_is_never_nothing(whole: tuple[int, int], share: float, part: tuple[int, int]) -> None:
    assert Policy("units", *whole).part(share) == Policy("units", *part)


def test_a_process_that_took_nothing_yet_knows_nothing_of_who_was_given_something_back(platform: Platform) -> None:
    made = Rates(Line(platform.settings.queue.redis_url))
    made.give_back(SLOW, "nobody", 5)
    made.look_ahead(SLOW, "nobody")
    assert made.standing(SLOW, "nobody") == (SLOW, 20, 0.0)
