"""The gate: rates, the month and the ladder together, and what is given back by whoever refuses."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator

import pytest

import models
from access import quota
from access.conduct import Conduct
from access.gate import Gate
from access.keys import Caller
from access.ladder import Ladder
from access.ledger import Ledger
from access.quota import Quota
from access.rates import Rates
from core import database, errors
from tests import factories
from tests.conftest import Platform, until

#: Nothing comes back while a test looks.
SLOW = {"requests_per_minute": 1, "units_per_minute": 1}


@pytest.fixture
def gate(platform: Platform) -> Iterator[Callable[..., Gate]]:
    """One process's."""
    with contextlib.ExitStack() as stack:

        def made(*, limits: bool = True) -> Gate:
            conduct, ledger = Conduct(platform.engine, Ladder(errors=5)), Ledger(platform.engine)
            for part in (conduct, ledger):
                stack.callback(part.close)
            return Gate(Rates(platform.line), Quota(platform.engine, ledger), conduct, ledger, limits=limits)

        yield made


def caller(platform: Platform, **limits: object) -> Caller:
    return factories.caller(factories.tenant(platform), **{**SLOW, **limits})


def left(gate: Gate, who: Caller) -> tuple[int, int]:
    found = gate.standing(who)
    assert found is not None
    requests, units = found
    return requests.remaining, units.remaining


def test_a_request_and_its_units_are_of_two_buckets(platform: Platform, gate: Callable[..., Gate]) -> None:
    made, who = gate(), caller(platform, requests_burst=5, units_burst=50)
    made.enter(who)
    made.spend(who, 20)
    assert left(made, who) == (4, 30)


def test_what_is_not_done_as_nobody_knows_the_month_has_cost_nothing(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    nowhere = database.create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    who = caller(platform, requests_burst=5, units_burst=50, monthly_units=100)
    made = gate()
    for engine, wanted in ((nowhere, (5, 50)), (platform.engine, (4, 30))):
        made._month = Quota(engine, made._ledger)
        made.enter(who)
        with contextlib.suppress(errors.Unavailable):
            made.spend(who, 20)
        assert left(made, who) == wanted
    made._month = Quota(nowhere, made._ledger)
    made.enter(who)
    with pytest.raises(errors.Unavailable):
        made.look_ahead(who)
    assert left(made, who) == (4, 30)
    nowhere.dispose()


def test_what_is_under_way_counts_at_each_look_at_the_month_until_it_has_ended(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, who = gate(), caller(platform, units_burst=500, monthly_units=100, allowance_percent=0)
    with contextlib.suppress(ZeroDivisionError), made.spending(who, 100):
        made.look_anew(who)
        with pytest.raises(errors.QuotaExceeded):
            made.spend(who, 1)
        raise ZeroDivisionError
    for _ in range(2):
        # It failed, and has cost nothing, which also each look says from now on.
        with contextlib.suppress(ZeroDivisionError), made.spending(who, 100):
            raise ZeroDivisionError
        made.look_anew(who)
    with made.spending(who, 100):
        made.write_down(who, "sentiment", "1.0.0", 100)
    made.look_anew(who)
    month = made.month(who)
    assert month is not None
    assert month.used == 100


def test_what_fails_has_cost_nothing_and_what_costs_less_in_the_end_gives_back_the_rest(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, who = gate(), caller(platform, units_burst=50)
    with pytest.raises(ZeroDivisionError), made.spending(who, 20):
        raise ZeroDivisionError
    with made.spending(who, 20) as bill:
        bill.units = 5
    assert left(made, who)[1] == 45


def test_what_fails_is_not_of_the_month_either_from_that_moment_on(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, who = gate(), caller(platform, units_burst=500, monthly_units=50, allowance_percent=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), made.spending(who, 40):
            raise ZeroDivisionError
    made.spend(who, 50)
    with pytest.raises(errors.QuotaExceeded):
        made.spend(who, 1)


def test_a_run_that_took_all_of_its_time_costs_what_it_costs(platform: Platform, gate: Callable[..., Gate]) -> None:
    made, who = gate(), caller(platform, units_burst=50)
    with pytest.raises(errors.TimedOut), made.spending(who, 20):
        raise errors.TimedOut
    assert left(made, who)[1] == 30


@pytest.mark.parametrize(
    ("limits", "units", "refusal"),
    [({"units_burst": 9}, 10, errors.RequestTooCostly),
     ({"monthly_units": 9, "allowance_percent": 0}, 10, errors.RequestTooCostly)],
)  # fmt: skip
def test_who_is_refused_for_units_has_made_no_request_and_spent_none(
    platform: Platform,
    gate: Callable[..., Gate],
    limits: dict[str, int],
    units: int,
    refusal: type[errors.CoatcheckError],
) -> None:
    made, who = gate(), caller(platform, **{"requests_burst": 5, "units_burst": 50, **limits})
    made.enter(who)
    before = who.tier.units_burst
    with pytest.raises(refusal):
        made.spend(who, units)
    assert left(made, who) == (5, before)


def test_who_is_refused_for_what_is_left_of_a_month_has_made_no_request_and_spent_none(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made = gate()
    who = caller(platform, requests_burst=5, units_burst=50, monthly_units=10, allowance_percent=0)
    made.enter(who)
    made.spend(who, 5)
    made.enter(who)
    with pytest.raises(errors.QuotaExceeded):
        made.spend(who, 6)
    assert left(made, who) == (4, 45)


def test_who_is_known_to_have_no_units_is_refused_before_it_is_known_what_is_asked_for(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, who = gate(), caller(platform, requests_burst=5, units_burst=10)
    made.spend(who, 10)
    made.look_ahead(who)  # nobody was refused yet
    with pytest.raises(errors.RateLimited):
        made.spend(who, 1)
    for _ in range(10):
        made.enter(who)
        with pytest.raises(errors.RateLimited, match="More units than"):
            made.look_ahead(who)
    # Who was refused much may have little.
    other = caller(platform, units_burst=10)
    made.spend(other, 8)
    with pytest.raises(errors.RateLimited):
        made.spend(other, 5)
    made.look_ahead(other)


def test_whose_month_is_used_up_is_refused_before_it_is_known_what_is_asked_for(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    month = {"monthly_units": 10, "allowance_percent": 0}
    made, who, pays = gate(), caller(platform, **month), caller(platform, **month, past_allowance="pay")
    for one in (who, pays):
        made.spend(one, 9)
        made.look_ahead(one)
        made.spend(one, 1)
    made.look_ahead(pays)
    with pytest.raises(errors.QuotaExceeded):
        made.look_ahead(who)


def test_only_whose_tier_has_a_month_is_told_of_it_and_only_where_there_are_limits(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    limited = caller(platform, monthly_units=10, allowance_percent=0)
    # The same tenant's, whose tier was changed meanwhile.
    without = factories.caller(limited.tenant_id, **SLOW)
    made, free = gate(), gate(limits=False)
    assert made.month_remembered(limited) is None
    made.spend(limited, 3)
    for told in (made.month(limited), made.month_remembered(limited)):
        assert told is not None
        assert (told.limit, told.most, told.used) == (10, 10, 3)
    assert (made.month(without), made.month_remembered(without)) == (None, None)
    assert (free.month(limited), free.month_remembered(limited)) == (None, None)


def test_what_is_answered_at_once_is_written_down_at_what_it_cost(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, who = gate(), caller(platform)
    made.write_down(who, "sentiment", "1.0.0", 4)
    sql = "SELECT calls, units FROM usage WHERE tenant_id = :id"
    until(lambda: platform.rows(sql, id=who.tenant_id))
    assert [tuple(row) for row in platform.rows(sql, id=who.tenant_id)] == [(1, 4)]


def test_a_key_that_is_slowed_has_a_quarter_of_its_rates_and_its_tenants_other_keys_have_all(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, who = gate(), caller(platform, requests_burst=40, units_burst=40)
    slow = factories.caller(who.tenant_id, **SLOW, requests_burst=40, units_burst=40)
    other = Caller(slow.tenant_id, slow.tier, "f" * 12, slow.scopes)
    factories.add(platform, models.Block, subject=slow.subject, tenant_id=slow.tenant_id, level=2)
    until(lambda: _looked(made, slow))

    def let_in(one: Caller, tries: int) -> int:
        found = 0
        for _ in range(tries):
            with contextlib.suppress(errors.RateLimited):
                made.enter(one)
                found += 1
        return found

    assert let_in(slow, 30) == 10
    assert let_in(other, 40) == 30
    # For the while: it may have more again when that ends.
    with pytest.raises(errors.RateLimited, match="Slowed for repeated errors: 10 units at once") as refused:
        made.spend(slow, 11)
    assert refused.value.retry_after_s > 60
    assert left(made, other)[1] == 40
    made.spend(slow, 10)
    made.spend(other, 30)


def _looked(gate: Gate, who: Caller) -> bool:
    gate._conduct.enter(who.subject)
    return gate.conduct(who) is not None


def test_where_nobody_is_limited_everybody_is_let_in_and_it_is_written_down_all_the_same(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, who = gate(limits=False), caller(platform, requests_burst=1, units_burst=1, monthly_units=1)
    for _ in range(3):
        made.enter(who)
        made.spend(who, 5)
        made.write_down(who, "sentiment", "1.0.0", 5)
    assert made.standing(who) is None
    sql = "SELECT coalesce(sum(units), 0)::int FROM usage WHERE tenant_id = :id"
    until(lambda: platform.one(sql, id=who.tenant_id) == (15,))


def test_what_fails_costs_who_is_slowed_nothing_of_its_quarter_either(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, of = gate(), caller(platform, requests_burst=40, units_burst=40)
    slow = Caller(of.tenant_id, of.tier, secrets.token_hex(6), of.scopes)
    factories.add(platform, models.Block, subject=slow.subject, tenant_id=slow.tenant_id, level=2)
    until(lambda: _looked(made, slow))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), made.spending(slow, 10):
            raise ZeroDivisionError
    with pytest.raises(errors.RateLimited) as refused:
        made.spend(slow, 11)
    assert refused.value.details == {"limit": 10, "policy": "units", "cost": 11}
    made.spend(slow, 10)
    with pytest.raises(errors.RateLimited):
        made.spend(slow, 1)


def test_who_leaves_has_made_no_request_and_who_has_units_again_is_not_refused_ahead(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, who = gate(), caller(platform, requests_burst=5, units_burst=10)
    for _ in range(20):
        made.enter(who)
        made.leave(who)
    assert left(made, who)[0] == 5
    made.spend(who, 10)
    with pytest.raises(errors.RateLimited):
        made.spend(who, 1)
    with pytest.raises(errors.RateLimited):
        made.look_ahead(who)
    made.give_back(who, 4)
    made.look_ahead(who)
    made.spend(who, 4)


def test_what_costs_nothing_is_let_in_also_where_the_month_is_used_up(
    platform: Platform, gate: Callable[..., Gate]
) -> None:
    made, who = gate(), caller(platform, monthly_units=10, allowance_percent=0)
    factories.add(platform, models.Usage, tenant_id=who.tenant_id, units=11)
    made.spend(who, 0)
    with pytest.raises(errors.QuotaExceeded):
        made.spend(who, 1)


def test_it_judges_without_the_database_whose_month_is_known_and_all_where_nobody_is_limited(
    platform: Platform, gate: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "LOOK_S", 600.0)
    made, who, without = gate(), caller(platform, monthly_units=10), caller(platform)
    assert (made.knows(who), made.knows(without), gate(limits=False).knows(who)) == (False, True, True)
    made.spend(who, 1)
    assert (made.knows(who), made.is_due(who)) == (True, False)
    monkeypatch.setattr(quota, "AHEAD_S", 1200.0)
    assert made.is_due(who)
    factories.add(platform, models.Usage, tenant_id=who.tenant_id, units=7)
    made.look_anew(who)
    assert (told := made.month(who)) is not None
    assert told.used == 7
