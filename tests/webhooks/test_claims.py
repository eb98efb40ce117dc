"""What is sent first, whether anything could be sent, and what is taken back or asked for again at the same moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

import models
from core import errors
from core.seal import Seal
from tests import factories
from tests.conftest import Platform, until
from tests.factories import PAST, SOON
from tests.webhooks.test_limits import claim, deliver, endpoint, settle
from webhooks import deliveries, endpoints, outbox, signing_keys
from webhooks.http_post import Answer
from webhooks.signing import Signing
from webhooks.verdict import Ending, Verdict

WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%webhook_deliveries%'"
BEGIN, END = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(3000, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


@pytest.fixture
def tenant(platform: Platform) -> UUID:
    return factories.tenant(platform)


def ago(hours: int) -> Any:
    return text(f"now() - interval '{hours} h'")


@pytest.mark.parametrize("hours", [(1, 3), (3, 1)])
def test_of_two_tenants_whose_delivery_waits_for_longer_goes_first(platform: Platform, hours: tuple[int, int]) -> None:
    made = {}
    for since in hours:
        owner = factories.tenant(platform)
        (made[since],) = deliver(platform, owner, endpoint(platform, owner), next_at=ago(since))
    assert [item.id for item in claim(platform, most=1)] == [made[3]]
    assert [item.id for item in claim(platform, most=1)] == [made[1]]


def test_of_two_tenants_who_wait_the_one_with_much_that_is_old_does_not_fill_the_claim(platform: Platform) -> None:
    patient, late = factories.tenant(platform), factories.tenant(platform)
    deliver(platform, patient, endpoint(platform, patient), 4, next_at=ago(5))
    deliver(platform, late, endpoint(platform, late), 2, next_at=PAST)
    assert sorted(item.tenant_id for item in claim(platform, most=4)) == sorted([patient, patient, late, late])


def test_of_what_is_due_at_the_same_moment_the_older_event_goes_first(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PER_TARGET", 1)
    first, second, _ = deliver(platform, tenant, endpoint(platform, tenant), 3, next_at=text("'2026-01-01'"))
    for wanted in (first, second):
        (found,) = claim(platform)
        assert found.id == wanted
        settle(platform, [found], 200)


#: What waits for which target and since when a target is held, and whether any of it could be sent.
DUE: Mapping[str, tuple[list[tuple[str, dict[str, Any]]], dict[str, Any], bool]] = {
    "nothing": ([], {}, False),
    "one": ([("a", {"next_at": PAST})], {}, True),
    "later": ([("a", {"next_at": SOON})], {}, False),
    "in somebody's hands": ([("a", {"status": "sending", "next_at": PAST})], {}, False),
    "delivered": ([("a", {"status": "delivered", "next_at": PAST})], {}, False),
    "held": ([("a", {"next_at": PAST})], {"a": SOON}, False),
    "held until now": ([("a", {"next_at": PAST})], {"a": PAST}, True),
    "held, and another's later": ([("a", {"next_at": PAST}), ("b", {"next_at": SOON})], {"a": SOON}, False),
    "held, and another's now": ([("a", {"next_at": PAST}), ("b", {"next_at": PAST})], {"a": SOON}, True),
    "in somebody's hands and later": (
        [("a", {"status": "sending", "next_at": PAST}), ("a", {"next_at": SOON, "event": "job.failed"})], {}, False
    ),
}  # fmt: skip


def test_senders_are_woken_for_what_could_be_sent_now_and_for_nothing_else(platform: Platform, tenant: UUID) -> None:
    found = {}
    for what, (waits, held, _) in DUE.items():
        factories.clear(platform)
        for target, given in waits:
            deliver(platform, tenant, endpoint(platform, tenant), target=target, **given)
        for target, held_until in held.items():
            factories.add(platform, models.WebhookTrouble, target=target, held_until=held_until)
        found[what] = outbox.due(platform.engine)
    assert found == {what: due for what, (_, _, due) in DUE.items()}


@pytest.mark.parametrize("how", ["lease_over", "node_born_again"])
def test_no_more_are_taken_back_at_once_than_may_be_and_the_next_goes_on(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(outbox, "LIMIT", 2)
    deliver(platform, tenant, endpoint(platform, tenant), 3, status="sending", lease_expires_at=PAST)

    def take_back() -> int:
        if how == "lease_over":
            return outbox.lease_over(platform.engine)
        return outbox.node_born_again(platform.engine, "io/b")

    assert [take_back() for _ in range(3)] == [2, 1, 0]


def test_what_is_asked_for_again_by_two_at_once_is_asked_for_once(platform: Platform, tenant: UUID) -> None:
    to = endpoint(platform, tenant)
    (mine,) = deliver(platform, tenant, to, status="failed")
    about = endpoints.get(platform.engine, tenant, to)

    def again() -> tuple[int, int | None]:
        return deliveries.redeliver_since(platform.engine, about, BEGIN, END, after=0, delivered_too=True)

    with ThreadPoolExecutor(1) as pool, platform.admin.begin() as first:
        first.execute(
            text("UPDATE webhook_deliveries SET status = 'pending', finished_at = NULL WHERE id = :id"), {"id": mine}
        )
        second = pool.submit(again)
        until(lambda: platform.rows(WAITING))
        first.commit()
        assert second.result(timeout=30) == (0, None)


def test_what_is_done_to_one_endpoint_leaves_the_tenants_others_as_they_are(platform: Platform, tenant: UUID) -> None:
    off = {"enabled": False, "disabled_code": "BY_TENANT"}
    mine, others = endpoint(platform, tenant, **off), [endpoint(platform, tenant, **off), endpoint(platform, tenant)]
    foreign = factories.tenant(platform)
    theirs = endpoint(platform, foreign, **off)

    def seen() -> list[endpoints.Endpoint]:
        return [*(endpoints.get(platform.engine, tenant, one) for one in others),
                endpoints.get(platform.engine, foreign, theirs)]  # fmt: skip

    before = seen()
    changes = {"enabled": True, "url": "https://another.example/", "events": ["job.failed"], "description": "mine"}
    changed = endpoints.change(platform.engine, tenant, mine, changes)
    assert {name: getattr(changed, name) for name in changes} == changes
    assert seen() == before
    off_again = endpoints.change(platform.engine, tenant, mine, {"enabled": False})
    with pytest.raises(errors.WebhookConflict) as refused:
        deliveries.test(platform.engine, off_again)
    assert refused.value.details == {"field": "enabled"}
    endpoints.delete(platform.engine, tenant, mine)
    assert seen() == before


def make(platform: Platform, owner: UUID) -> object:
    about = {"url": "https://receiver.example/", "events": ["job.completed"], "description": ""}
    with platform.engine.begin() as connection:
        seal = Seal(platform.settings.sealing)
        return endpoints.create(connection, seal, owner, signing=Signing.V1, **about)  # type: ignore[arg-type]


def rotate(platform: Platform, owner: UUID) -> None:
    seal = Seal(platform.settings.sealing)
    signing_keys.rotate(platform.engine, seal, (owner, None), Signing.V1, overlap_s=60)


@pytest.mark.parametrize("do", [make, rotate])
def test_who_makes_an_endpoint_or_a_key_waits_for_no_other_tenant(
    platform: Platform, tenant: UUID, do: Callable[[Platform, UUID], object]
) -> None:
    other = factories.tenant(platform)
    with platform.admin.begin() as somebody:
        somebody.execute(text("SELECT FROM tenants WHERE id = :id FOR UPDATE"), {"id": other})
        # It would wait for five seconds, and fail.
        do(platform, tenant)


def test_keys_are_told_the_current_one_first_and_then_by_how_long_they_are_good(
    platform: Platform, tenant: UUID
) -> None:
    owner, seal = (tenant, endpoint(platform, tenant)), Seal(platform.settings.sealing)
    for minutes, overlap_s in ((4, 600), (3, 7200), (2, 1200), (1, 1200)):
        with platform.engine.begin() as connection:
            signing_keys.ensure(connection, seal, owner)
        retire = """UPDATE webhook_secrets SET created_at = now() - make_interval(mins => :minutes),
          retires_at = date_trunc('day', now()) + make_interval(days => 1, secs => :secs) WHERE retires_at IS NULL"""
        platform.execute(retire, minutes=minutes, secs=overlap_s)
    with platform.engine.begin() as connection:
        signing_keys.ensure(connection, seal, owner)
    retires = "SELECT sealed FROM webhook_secrets ORDER BY retires_at IS NOT NULL, retires_at DESC, created_at DESC"
    wanted = [seal.open(row.sealed, signing_keys.context(owner)) for row in platform.rows(retires)]
    assert [item.key.secret for item in signing_keys.good(platform.engine, seal, owner)] == wanted


def test_a_call_is_in_the_log_at_the_moment_when_it_began(platform: Platform, tenant: UUID) -> None:
    deliver(platform, tenant, endpoint(platform, tenant))
    (item,) = claim(platform)
    done = [outbox.Done(item, Answer(600_000, 200), Verdict(Ending.DELIVERED))]
    assert outbox.settle(platform.engine, done, pause_s=5, disable_s=5) == 1
    began = "SELECT round(extract(epoch FROM clock_timestamp() - at) / 60) FROM webhook_attempts"
    assert platform.one(began) == (10,)
