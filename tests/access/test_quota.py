"""A month's units: what counts, what is refused at its end, what is told of it, and what an operator gives."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import event

import models
from access import adjustments, quota, usage
from access.adjustments import Adjustment
from access.keys import Caller
from access.ledger import Ledger
from access.quota import Quota
from core import audit, errors
from tests import callers, factories
from tests.conftest import Platform
from tests.statements import digest, issued
from webhooks.events import FOR_ENDPOINTS, Event

BY = audit.Actor("cli:made")
LIMITS: Mapping[str, Any] = {"monthly_units": 100, "allowance_percent": 10}


@pytest.fixture(autouse=True)
def empty(platform: Platform, quiet: None) -> None:
    platform.truncate("usage, usage_days, usage_mark, quota_notices, webhook_deliveries CASCADE")


@pytest.fixture
def caller(platform: Platform) -> Caller:
    """Of a tenant with 100 units in a month, and 10 more."""
    return factories.caller(factories.tenant(platform, **LIMITS), **LIMITS)


def used(platform: Platform, caller: Caller) -> int:
    return Quota(platform.engine, Ledger(platform.engine)).standing(caller).used


def spend(platform: Platform, caller: Caller, units: int, **given: Any) -> None:
    factories.add(platform, models.Usage, tenant_id=caller.tenant_id, units=units, **given)


def give(platform: Platform, tenant: str, units: int, reason: str, by: audit.Actor) -> Adjustment:
    with platform.engine.begin() as connection:
        return adjustments.make(connection, tenant, units, reason, by)


def refusal(check: Callable[[], object]) -> errors.QuotaExceeded:
    with pytest.raises(errors.QuotaExceeded) as caught:
        check()
    return caught.value


def test_a_month_is_what_was_used_in_it_and_what_waits_and_runs_will_cost(
    platform: Platform, caller: Caller, month: dt.date
) -> None:
    other = factories.tenant(platform, **LIMITS)
    spend(platform, caller, 1)
    spend(platform, caller, 2, kind="inline")
    spend(platform, caller, 1000, created_at=dt.datetime.combine(month, dt.time(), dt.UTC) - dt.timedelta(seconds=1))
    factories.add(platform, models.Usage, tenant_id=other, units=1000)
    assert used(platform, caller) == 3
    while usage.fold(platform.engine):
        pass
    assert used(platform, caller) == 3
    mine = caller.tenant_id
    factories.job(platform, mine, cost=4)
    factories.job(platform, mine, cost=8, status="processing")
    for status in ("completed", "failed", "canceled", "expired"):
        factories.job(platform, mine, cost=1000, status=status)
    factories.job(platform, other, cost=1000)
    # Of a file that is cut, its parts alone, as long as they have not ended.
    parked = factories.job(platform, mine, kind="bulk", cost=1000, status="processing", lease_expires_at="infinity")
    for cost, status in ((16, "pending"), (32, "processing"), (1000, "completed")):
        factories.job(platform, mine, kind="chunk", parent_id=parked["id"], cost=cost, status=status)
    # One whose parts have all ended, or that has none, will cost nothing more.
    factories.job(platform, mine, kind="bulk", cost=1000, status="processing", lease_expires_at="infinity")
    assert used(platform, caller) == 3 + 4 + 8 + 16 + 32
    give(platform, tenant_of(platform, caller), 50, "a gift", BY)
    give(platform, tenant_of(platform, caller), -1, "less of it", BY)
    assert used(platform, caller) == 63 - 49


def tenant_of(platform: Platform, caller: Caller) -> str:
    return str(platform.one("SELECT name FROM tenants WHERE id = :id", id=caller.tenant_id)[0])


def test_the_last_unit_of_the_allowance_is_let_in_and_the_next_is_refused_with_when_it_helps(
    platform: Platform, caller: Caller, month: dt.date
) -> None:
    spend(platform, caller, 90)
    mine = Quota(platform.engine, Ledger(platform.engine))
    error = refusal(lambda: mine.check(caller, 21))
    mine.check(caller, 20)
    mine.check(caller, 0)
    later = (month + dt.timedelta(32)).replace(day=1)
    assert (error.retryable, error.details) == (
        False,
        {"limit": 110, "used": 90, "units": 21, "resets_at": f"{later}T00:00:00+00:00"},
    )
    assert refusal(lambda: mine.check(caller, 1)).details["used"] == 110
    found = mine.standing(caller)
    assert (found.limit, found.most, found.used, f"{found.resets_at:%F}") == (100, 110, 110, str(later))


def test_who_pays_goes_on_and_is_counted(platform: Platform) -> None:
    limits = {**LIMITS, "past_allowance": "pay"}
    caller, mine = (
        factories.caller(factories.tenant(platform, **limits), **limits),
        Quota(platform.engine, Ledger(platform.engine)),
    )
    for _ in range(3):
        mine.check(caller, 100)
    assert mine.standing(caller).used == 300
    quota.judge(platform.engine, caller.tenant_id, 10_000, counted=0)


def test_a_tier_without_a_limit_costs_no_query_and_one_with_it_a_look_for_many_calls(
    platform: Platform, caller: Caller
) -> None:
    free, mine = factories.caller(factories.tenant(platform)), Quota(platform.engine, Ledger(platform.engine))
    with issued(platform.engine) as statements:
        for _ in range(1000):
            mine.check(free, 10)
        assert statements == []
        for _ in range(50):
            mine.check(caller, 2)
        assert len(statements) <= 2


def test_what_the_ledger_writes_while_a_month_is_looked_at_is_counted(
    platform: Platform, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "_start", lambda _: None)  # written is what this test writes
    ledger = Ledger(platform.engine)
    mine = Quota(platform.engine, ledger)

    def write(*_: object) -> None:
        ledger.flush()

    ledger.add(caller, "m", "1.0.0", units=7)
    event.listen(platform.engine, "after_cursor_execute", write, once=True)
    try:
        assert mine.standing(caller).used == 7
    finally:
        ledger.close()


def test_many_who_ask_at_once_get_no_more_than_there_is(
    platform: Platform, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "LOOK_S", 600.0)
    mine, looks = Quota(platform.engine, Ledger(platform.engine)), []

    def note(*_: object) -> None:
        looks.append(1)

    let_in: list[int] = []

    def ask() -> None:
        for _ in range(50):
            try:
                mine.check(caller, 1)
            except errors.QuotaExceeded:
                continue
            let_in.append(1)

    event.listen(platform.engine, "before_execute", note)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    event.remove(platform.engine, "before_execute", note)
    assert (sum(let_in), sum(looks)) == (110, 1)


def test_what_is_known_late_is_judged_by_what_was_used(platform: Platform, caller: Caller) -> None:
    spend(platform, caller, 100)
    quota.judge(platform.engine, caller.tenant_id, 10, counted=0)
    assert refusal(lambda: quota.judge(platform.engine, caller.tenant_id, 11, counted=0)).details["units"] == 11
    # Of them one is among the hundred.
    quota.judge(platform.engine, caller.tenant_id, 11, counted=1)
    quota.judge(platform.engine, factories.tenant(platform), 10**9, counted=0)


def test_what_no_month_has_is_refused_as_too_costly_and_not_until_the_next_one(
    platform: Platform, caller: Caller
) -> None:
    mine = Quota(platform.engine, Ledger(platform.engine))
    mine.check(caller, 1)
    assert refusal(lambda: mine.check(caller, 110)).details["units"] == 110
    told = {"limit": 110, "policy": "units-month", "cost": 111}
    with pytest.raises(errors.RequestTooCostly) as at_once:
        mine.check(caller, 111)
    with pytest.raises(errors.RequestTooCostly) as late:
        quota.judge(platform.engine, caller.tenant_id, 111, counted=0)
    assert at_once.value.details == late.value.details == told
    # With what an operator gave it fits this once.
    give(platform, tenant_of(platform, caller), 5, "a gift", BY)
    Quota(platform.engine, Ledger(platform.engine)).check(caller, 111)


def test_a_month_that_was_looked_at_long_ago_is_told_to_nobody(
    platform: Platform, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Quota(platform.engine, Ledger(platform.engine))
    assert mine.remembered(caller) is None
    mine.check(caller, 1)
    assert mine.remembered(caller) is not None
    monkeypatch.setattr(quota, "TOLD_S", -quota.LOOK_S)
    assert mine.remembered(caller) is None
    mine.check(caller, 1)


def test_a_month_that_is_known_may_be_looked_at_ahead(
    platform: Platform, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Quota(platform.engine, Ledger(platform.engine))
    assert not mine.is_due(caller)
    mine.look_anew(caller)
    assert not mine.knows(caller)
    mine.check(caller, 1)
    monkeypatch.setattr(quota, "AHEAD_S", 0.0)
    assert (mine.knows(caller), mine.is_due(caller)) == (True, False)
    monkeypatch.setattr(quota, "AHEAD_S", 2 * quota.LOOK_S)
    assert mine.is_due(caller)
    assert not mine.is_due(factories.caller(factories.tenant(platform)))
    spend(platform, caller, 110)
    mine.look_anew(caller)
    assert refusal(lambda: mine.check(caller, 1)).details["units"] == 1


def test_more_than_a_number_holds_spoils_no_months(platform: Platform, caller: Caller, month: dt.date) -> None:
    other = factories.caller(factories.tenant(platform, **LIMITS), **LIMITS)
    spend(platform, other, 80)
    for sign in (-1, 1):
        insert = """INSERT INTO adjustments (id, tenant_id, month, units, reason)
          SELECT gen_random_uuid(), :id, :month, :units, 'r' FROM generate_series(1, 3000)"""
        platform.execute(insert, id=caller.tenant_id, month=month, units=sign * 2**53)
        assert used(platform, caller) == (2**62 if sign < 0 else 0)
        quota.tell(platform.engine)
    assert notices(platform, other) == {Event.QUOTA_WARNING}


def test_what_was_adjusted_in_another_month_changes_nothing_in_this_one(
    platform: Platform, caller: Caller, month: dt.date
) -> None:
    spend(platform, caller, 80)
    for other in (month - dt.timedelta(days=1), month + dt.timedelta(days=40)):
        insert = """INSERT INTO adjustments (id, tenant_id, month, units, reason)
          VALUES (gen_random_uuid(), :id, :month, 50, 'r')"""
        platform.execute(insert, id=caller.tenant_id, month=other.replace(day=1))
    assert used(platform, caller) == 80


def notices(platform: Platform, caller: Caller) -> set[str]:
    rows = platform.rows("SELECT event FROM quota_notices WHERE tenant_id = :id", id=caller.tenant_id)
    return {str(row[0]) for row in rows}


STEPS = [
    (79, set()),
    (80, {Event.QUOTA_WARNING}),
    (99, {Event.QUOTA_WARNING}),
    (100, {Event.QUOTA_WARNING, Event.QUOTA_REACHED}),
    (109, {Event.QUOTA_WARNING, Event.QUOTA_REACHED}),
    (110, {Event.QUOTA_WARNING, Event.QUOTA_REACHED, Event.QUOTA_EXCEEDED}),
]


@pytest.mark.parametrize(("units", "steps"), STEPS)
def test_each_step_of_a_month_is_told_once_to_the_endpoints_that_want_it(
    platform: Platform, caller: Caller, month: dt.date, units: int, steps: set[Event]
) -> None:
    mine, other = caller.tenant_id, factories.tenant(platform, **LIMITS)
    wants = {"events": list(FOR_ENDPOINTS)}
    all_of_it = factories.add(platform, models.WebhookEndpoint, tenant_id=mine, **wants)["id"]
    warned = factories.add(platform, models.WebhookEndpoint, tenant_id=mine, events=[Event.QUOTA_WARNING])["id"]
    factories.add(platform, models.WebhookEndpoint, tenant_id=mine, events=[Event.COMPLETED])
    factories.add(platform, models.WebhookEndpoint, tenant_id=mine, enabled=False, disabled_code="BY_TENANT", **wants)
    factories.add(platform, models.WebhookEndpoint, tenant_id=other, **wants)
    without = factories.tenant(platform, monthly_units=0)
    factories.add(platform, models.WebhookEndpoint, tenant_id=without, **wants)
    factories.add(platform, models.Usage, tenant_id=without, units=1000)
    spend(platform, caller, units)
    assert quota.tell(platform.engine) == len(steps)
    assert quota.tell(platform.engine) == 0
    assert notices(platform, caller) == steps
    sent = platform.rows("SELECT endpoint_id, event, body, status, target FROM webhook_deliveries")
    wanted = {(all_of_it, step) for step in steps} | {(warned, step) for step in steps & {Event.QUOTA_WARNING}}
    assert {(row.endpoint_id, row.event) for row in sent} == wanted
    assert len(sent) == len(wanted)
    for row in sent:
        assert (row.status, row.target) == ("pending", str(row.endpoint_id))
        body = json.loads(row.body)
        assert body["type"] == row.event
        next_month = (month + dt.timedelta(32)).replace(day=1)
        assert body["data"] == {
            "month": f"{month:%Y-%m}", "units": units, "monthly_units": 100, "allowance_percent": 10,
            "past_allowance": "refuse", "resets_at": f"{next_month}T00:00:00+00:00",
        }  # fmt: skip


def test_an_adjustment_is_a_row_and_in_the_audit_log_and_a_bad_one_is_neither(
    platform: Platform, caller: Caller, month: dt.date
) -> None:
    name = tenant_of(platform, caller)
    assert give(platform, name, -5, "sold twice", audit.Actor("cli:root")).month == month
    row = platform.one("SELECT month, units, reason FROM adjustments WHERE tenant_id = :id", id=caller.tenant_id)
    assert tuple(row) == (month, -5, "sold twice")
    log = platform.one("SELECT actor, action, object, after FROM audit WHERE tenant_id = :id", id=caller.tenant_id)
    said = {"month": str(month), "units": -5, "reason": "sold twice"}
    assert tuple(log) == ("cli:root", "quota.adjust", f"tenant:{name}", said)
    before = digest(platform)
    bad: list[tuple[str, int, str]] = [
        (name, 0, "r"), (name, 2**53 + 1, "r"), (name, -(2**53) - 1, "r"), (name, 1, ""), (name, 1, "r" * 201),
        (name, 1, "a\nb"),
    ]  # fmt: skip
    for tenant, units, reason in bad:
        with pytest.raises(errors.InvalidInput):
            give(platform, tenant, units, reason, BY)
    with pytest.raises(errors.NotFound):
        give(platform, callers.name("nobody"), 1, "r", BY)
    assert digest(platform) == before
    give(platform, name, 2**53, "r" * 200, BY)


def test_tenants_of_whom_nothing_is_told_any_more_are_forgotten(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "TENANTS", 3)
    monkeypatch.setattr(quota, "LOOK_S", 0.0)
    mine = Quota(platform.engine, Ledger(platform.engine))
    callers_of = [factories.caller(factories.tenant(platform, **LIMITS), **LIMITS) for _ in range(5)]
    for caller in callers_of:
        mine.check(caller, 1)
    assert len(mine._seen) == 5, "all are told"
    looked_at = mine._begin(uuid.uuid4())
    monkeypatch.setattr(quota, "TOLD_S", 0.0)
    mine.check(factories.caller(factories.tenant(platform, **LIMITS), **LIMITS), 1)
    assert looked_at in mine._seen.values()
    assert len(mine._seen) == 2
