"""What a process knows of a month: from its first moment on, with what is not written yet, and for how long."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

import models
from access import quota, usage
from access.keys import Caller
from access.ledger import Ledger
from access.quota import Quota
from tests import factories
from tests.conftest import Platform

LIMITS: Mapping[str, Any] = {"monthly_units": 100, "allowance_percent": 10}
LATE = text("INSERT INTO usage (job_id, tenant_id, model, units) VALUES (gen_random_uuid(), :tenant, 'sentiment', 7)")


class Quiet(Ledger):
    """One that is written when the test says so."""

    def _start(self) -> None: ...


@pytest.fixture(autouse=True)
def empty(platform: Platform, quiet: None) -> None:
    platform.truncate("usage, usage_days, usage_mark")


@pytest.fixture
def caller(platform: Platform) -> Caller:
    return factories.caller(factories.tenant(platform, **LIMITS), **LIMITS)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is good for longer than any test."""
    monkeypatch.setattr(quota, "LOOK_S", 600.0)


def spend(platform: Platform, caller: Caller, units: int, **given: Any) -> None:
    factories.add(platform, models.Usage, tenant_id=caller.tenant_id, units=units, **given)


def used(platform: Platform, caller: Caller) -> int:
    return Quota(platform.engine, Ledger(platform.engine)).standing(caller).used


def test_a_month_begins_with_its_first_moment_and_nobody_elses_jobs_are_in_it(
    platform: Platform, caller: Caller, month: dt.date
) -> None:
    spend(platform, caller, 5, created_at=dt.datetime.combine(month, dt.time(), dt.UTC))
    factories.job(platform, factories.tenant(platform, **LIMITS), cost=1000, status="processing")
    assert used(platform, caller) == 5
    while usage.fold(platform.engine):
        pass
    assert platform.one("SELECT day FROM usage_days") == (month,)
    assert used(platform, caller) == 5


def test_what_is_committed_late_is_in_the_month_once_before_and_after_it_is_added_up(
    platform: Platform, caller: Caller
) -> None:
    spend(platform, caller, 1, xact=1)
    with platform.engine.connect() as late:
        late.execute(LATE, {"tenant": caller.tenant_id})
        usage.fold(platform.engine)
        assert used(platform, caller) == 1
        late.commit()
    assert used(platform, caller) == 8
    while usage.fold(platform.engine):
        pass
    assert used(platform, caller) == 8


def test_what_a_process_has_answered_and_not_written_yet_is_in_its_month_once(
    platform: Platform, caller: Caller
) -> None:
    ledger = Quiet(platform.engine)
    ledger.add(caller, "sentiment", "1.0.0", units=3)
    ledger.add(factories.caller(factories.tenant(platform)), "sentiment", "1.0.0", units=50)

    def seen() -> int:
        return Quota(platform.engine, ledger).standing(caller).used

    assert (seen(), used(platform, caller)) == (3, 0)
    # What is being written is not written yet.
    ledger._take()
    ledger.add(caller, "sentiment", "1.0.0", units=4)
    assert (seen(), ledger.unwritten(caller.tenant_id)) == (7, 7)
    ledger.flush()
    assert (seen(), ledger.unwritten(caller.tenant_id)) == (7, 0)


def test_a_month_is_known_for_a_while_and_that_there_is_none_always(
    platform: Platform, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, free = Quota(platform.engine, Ledger(platform.engine)), factories.caller(factories.tenant(platform))
    assert mine.knows(free)
    monkeypatch.setattr(quota, "LOOK_S", 0.0)
    mine.check(caller, 1)
    assert not mine.knows(caller)
    monkeypatch.setattr(quota, "LOOK_S", 600.0)
    mine.check(caller, 1)
    assert mine.knows(caller)


@pytest.mark.usefixtures("slow")
def test_a_month_is_looked_at_ahead_as_often_as_somebody_asks_for_it(platform: Platform, caller: Caller) -> None:
    mine = Quota(platform.engine, Ledger(platform.engine))
    for units in (1, 2, 3):
        assert mine.standing(caller).used == units - 1
        spend(platform, caller, 1)
        mine.look_anew(caller)
    assert mine.standing(caller).used == 3


def test_while_one_looks_others_go_on_with_the_month_that_is_known(
    platform: Platform, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "LOOK_S", 0.0)
    mine = Quota(platform.engine, Ledger(platform.engine))
    mine.check(caller, 1)
    spend(platform, caller, 50)
    (seen,) = mine._seen.values()
    with ThreadPoolExecutor(1) as pool, seen.looking:
        assert pool.submit(mine.standing, caller).result(timeout=30).used == 1
        pool.submit(mine.look_anew, caller).result(timeout=30)
    assert mine.standing(caller).used == 50
