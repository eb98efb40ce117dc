"""Rates: never over, hardly under, at almost no cost, and told by when there is room."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import pytest

from access import rates
from access.rates import Policy, Rates
from core import errors
from core.broker import Line
from tests.access.conftest import Clock
from tests.conftest import Platform, until

T = TypeVar("T")

#: Slow enough that nothing comes free while a test looks, but where it says so.
SLOW = Policy("units", per_minute=1, burst=20)
FAST = Policy("units", per_minute=6000, burst=20)


class Counted(Line):
    """How often Redis was asked."""

    asked = 0

    def call(self, do: Callable[[], T], otherwise: T) -> T:
        self.asked += 1
        return super().call(do, otherwise)


@pytest.fixture
def process(platform: Platform) -> Callable[[], Rates]:
    """Another process's."""
    platform.line.redis.delete("coatcheck:rates")
    return lambda: Rates(Counted(platform.settings.queue.redis_url))


@pytest.fixture
def party() -> str:
    return uuid.uuid4().hex


def asked(made: Rates) -> int:
    line = made._line
    assert isinstance(line, Counted)
    return line.asked


def lose_redis(made: Rates) -> None:
    made._line = Line("redis://127.0.0.1:1/0")
    made._script = made._line.redis.register_script(rates._TAKE)


def taken(made: Rates, policy: Policy, party: str, tries: int) -> int:
    found = 0
    for _ in range(tries):
        with contextlib.suppress(errors.RateLimited):
            made.take(policy, party)
            found += 1
    return found


def test_as_many_as_the_burst_are_let_through_at_once_and_no_more(process: Callable[[], Rates], party: str) -> None:
    assert taken(process(), SLOW, party, 50) == 20


@pytest.mark.parametrize("processes", [2, 5])
def test_several_processes_together_let_through_no_more_than_one(
    process: Callable[[], Rates], party: str, processes: int
) -> None:
    made = [process() for _ in range(processes)]
    assert sum(taken(made[turn % processes], SLOW, party, 1) for turn in range(100)) == 20


def test_one_party_s_bucket_is_nobody_elses_and_one_policy_s_no_other_s(
    process: Callable[[], Rates], party: str
) -> None:
    made = process()
    assert taken(made, SLOW, party, 50) == 20
    assert taken(made, SLOW, uuid.uuid4().hex, 50) == 20
    assert taken(made, Policy("requests", 1, 3), party, 50) == 3


def test_who_is_sent_away_and_waits_as_long_as_is_said_is_let_through(process: Callable[[], Rates], party: str) -> None:
    made = process()
    for cost in (1, 7, 20, 3):
        while True:
            try:
                made.take(FAST, party, cost)
            except errors.RateLimited as refused:
                time.sleep(refused.retry_after_s)
                made.take(FAST, party, cost)
                break


def test_what_is_refused_costs_nothing(process: Callable[[], Rates], party: str) -> None:
    made = process()
    made.take(SLOW, party, 15)
    for _ in range(100):
        with pytest.raises(errors.RateLimited):
            made.take(SLOW, party, 6)
    made.take(SLOW, party, 5)


def test_more_than_there_ever_is_at_once_is_refused_for_good_and_named(
    process: Callable[[], Rates], party: str
) -> None:
    made = process()
    with pytest.raises(errors.RequestTooCostly) as refused:
        made.take(SLOW, party, 21)
    assert refused.value.details == {"limit": 20, "policy": "units", "cost": 21}
    assert not refused.value.retryable
    made.take(SLOW, party, 20)


def test_a_flood_that_is_refused_does_not_ask_redis_each_time(process: Callable[[], Rates], party: str) -> None:
    made = process()
    taken(made, SLOW, party, 20)
    before = asked(made)
    assert taken(made, SLOW, party, 1000) == 0
    assert asked(made) - before == 1


def test_most_of_what_is_let_through_does_not_ask_redis(process: Callable[[], Rates], party: str) -> None:
    made, large = process(), Policy("requests", per_minute=60_000, burst=10_000)
    assert taken(made, large, party, 5000) == 5000
    assert asked(made) <= 15


def test_those_who_are_sent_away_are_told_to_come_back_one_after_the_other(
    process: Callable[[], Rates], party: str
) -> None:
    made, policy = process(), Policy("units", per_minute=60, burst=2)
    waits = []
    for _ in range(8):
        try:
            made.take(policy, party)
        except errors.RateLimited as refused:
            waits.append(refused.retry_after_s)
    apart = [later - sooner for sooner, later in itertools.pairwise(waits)]
    assert len(waits) == 6
    # At half of the rate: the other half is for who comes without having been sent away.
    assert apart == [2] * 5


def test_what_is_kept_for_a_turn_that_was_told_is_not_for_who_comes_without_one(
    process: Callable[[], Rates], party: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "KEPT", 0.5)
    made, policy = process(), Policy("units", per_minute=600, burst=10)
    assert taken(made, policy, party, 10) == 10
    with pytest.raises(errors.RateLimited) as refused:
        made.take(policy, party)
    begun, newcomers = time.monotonic(), 0
    while time.monotonic() < begun + refused.value.retry_after_s:
        newcomers += taken(made, policy, party, 1)
        time.sleep(0.01)
    # Ten came free meanwhile, and half of the bucket was kept.
    assert newcomers <= 6
    assert taken(made, policy, party, 2) == 2  # who has the turn, and one who is taken for it


def test_of_what_is_in_hand_too_who_comes_without_a_turn_leaves_what_is_kept(
    process: Callable[[], Rates], party: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(rates, "time", clock)
    monkeypatch.setattr(rates, "KEPT", 0.8)
    monkeypatch.setattr(rates, "LEASE_PART", 10.0)
    made, policy = process(), Policy("units", per_minute=1, burst=10)
    made.take(policy, party)
    with pytest.raises(errors.RateLimited) as refused:
        made.take(policy, party, 10)
    # Of the nine that are left it takes some ahead; for the next one there would have to be eight, and its own.
    assert taken(made, policy, party, 5) == 1
    clock.now_s += refused.value.retry_after_s
    assert taken(made, policy, party, 1) == 1


def test_what_is_kept_for_turns_is_never_more_than_the_bucket_holds() -> None:
    lease = rates._Lease(Policy("units", 60, 1000), turns=[10.0, 10.0, 20.0])
    assert [rates._need(lease, cost, 9.0) for cost in (1, 990, 995, 1000)] == [11, 1000, 1000, 1000]
    assert [rates._need(lease, 7, now) for now in (10.0, 11.0)] == [7, 7]
    assert rates._need(lease, 7, 11.5) == 17
    assert lease.turns == [20.0]
    assert rates._need(lease, 7, 21.5) == 7
    assert lease.turns == []


def test_nobody_is_told_to_wait_for_an_hour_because_many_were_there_before(
    process: Callable[[], Rates], party: str
) -> None:
    made = process()
    taken(made, FAST, party, 20)
    waits = []
    for _ in range(20_000):
        try:
            made.take(FAST, party)
        except errors.RateLimited as refused:
            waits.append(refused.retry_after_s)
    assert max(waits) <= rates.LONGEST_TURN_S


def test_what_an_old_lease_has_left_goes_back(
    process: Callable[[], Rates], party: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "LEASE_S", 0.0)
    one, large = process(), Policy("units", per_minute=6000, burst=1000)
    for _ in range(30):
        one.take(large, party)
    # Each time sixty were taken ahead, and all but one were given back the next time.
    other = process()
    other.take(large, party)
    assert other.standing(large, party).remaining >= 1000 - 31 - 60


def test_what_was_given_back_is_there_again(process: Callable[[], Rates], party: str) -> None:
    made = process()
    made.take(SLOW, party, 20)
    made.give_back(SLOW, party, 4)
    assert taken(made, SLOW, party, 10) == 4


def test_however_much_is_given_back_a_process_has_no_more_in_hand_than_a_full_bucket(
    process: Callable[[], Rates], party: str
) -> None:
    made = process()
    for _ in range(6):
        made.take(SLOW, party, 10)
        made.give_back(SLOW, party, 20)
    # And as much again where all processes find it.
    assert taken(made, SLOW, party, 80) <= 40


def test_how_a_bucket_stands_is_told_without_asking(process: Callable[[], Rates], party: str) -> None:
    made = process()
    assert made.standing(SLOW, party) == (SLOW, 20, 0.0)
    made.take(SLOW, party, 5)
    before = asked(made)
    found = made.standing(SLOW, party)
    assert (found.remaining, round(found.full_in_s / 60)) == (15, 5)
    taken(made, SLOW, party, 20)
    assert made.standing(SLOW, party).remaining == 0
    assert asked(made) - before <= 16


def test_another_limit_holds_from_the_next_request_on(process: Callable[[], Rates], party: str) -> None:
    made = process()
    assert taken(made, SLOW, party, 50) == 20
    larger = Policy("units", per_minute=60_000, burst=1000)
    with pytest.raises(errors.RateLimited):
        made.look_ahead(SLOW, party)
    # What the old one refused says nothing of it.
    made.look_ahead(larger, party)
    until(lambda: taken(made, larger, party, 1) == 1)
    assert taken(made, Policy("units", per_minute=1, burst=5), party, 50) <= 10


def test_without_redis_each_process_has_its_share_and_nobody_waits(process: Callable[[], Rates], party: str) -> None:
    made = [process() for _ in range(4)]
    for other in made:
        other.take(SLOW, uuid.uuid4().hex)
    made[0].take(SLOW, uuid.uuid4().hex)
    for other in made:
        lose_redis(other)
    # Now all of them know of each other, but the first ones of fewer.
    assert 5 <= taken(made[0], SLOW, party, 50) <= 20
    assert taken(made[3], SLOW, party, 50) == 5
    begun = time.perf_counter()
    assert taken(made[3], SLOW, party, 1000) == 0
    assert time.perf_counter() - begun < 1.0


def test_a_process_that_redis_never_answered_takes_itself_for_one_of_four(
    process: Callable[[], Rates], party: str
) -> None:
    made = process()
    lose_redis(made)
    assert taken(made, SLOW, party, 50) == 5


def test_a_redis_that_goes_away_or_forgets_fills_no_bucket(
    process: Callable[[], Rates], party: str, platform: Platform
) -> None:
    made, other = process(), process()
    other.take(SLOW, uuid.uuid4().hex)
    assert taken(made, SLOW, party, 50) == 20
    line, script = made._line, made._script
    lose_redis(made)
    time.sleep(rates.PAUSE_S)
    assert taken(made, SLOW, party, 50) == 0
    made._line, made._script = line, script
    platform.line.redis.delete(f"coatcheck:rate:units:{party}")
    made._leases[("units", party)].refused_until = 0.0
    assert taken(made, SLOW, party, 50) == 0
    assert taken(other, SLOW, party, 50) == 0


def test_without_redis_what_is_in_hand_is_spent_first(process: Callable[[], Rates], party: str) -> None:
    made, large = process(), Policy("units", per_minute=6000, burst=1000)
    made.take(large, party)
    lose_redis(made)
    made._processes = 1000
    assert taken(made, large, party, 200) >= 59


def test_a_redis_that_forgot_everything_lets_through_at_most_a_burst_more(
    process: Callable[[], Rates], party: str, platform: Platform
) -> None:
    made = process()
    assert taken(made, SLOW, party, 50) == 20
    platform.line.redis.delete(f"coatcheck:rate:units:{party}")
    time.sleep(rates.PAUSE_S)
    made._leases.clear()
    assert taken(made, SLOW, party, 50) == 20


def test_parties_that_were_not_seen_for_long_are_forgotten(
    process: Callable[[], Rates], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MOST_LEASES", 50)
    monkeypatch.setattr(rates, "LEASE_S", 0.0)
    made = process()
    for _ in range(120):
        made.take(SLOW, uuid.uuid4().hex)
    assert len(made._leases) <= 51
