"""Every limit of webhooks: one below it, at it, one above it, and what gives it back."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

import models
from core import errors
from core.seal import Seal
from tests import factories
from tests.conftest import Platform
from tests.factories import PAST, SOON
from webhooks import backlog, chores, courier, deliveries, endpoints, outbox, signing_keys, slots, switching
from webhooks.http_post import Answer
from webhooks.signing import Signing
from webhooks.slots import CALLS_PER_TARGET, Slots
from webhooks.verdict import judge


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


@pytest.fixture
def tenant(platform: Platform) -> UUID:
    return factories.tenant(platform)


def endpoint(platform: Platform, tenant: UUID, **given: Any) -> UUID:
    return UUID(str(factories.add(platform, models.WebhookEndpoint, tenant_id=tenant, **given)["id"]))


def deliver(platform: Platform, tenant: UUID, to: UUID, count: int = 1, **given: Any) -> list[UUID]:
    theirs = {"tenant_id": tenant, "endpoint_id": to, **given}
    return [UUID(str(factories.add(platform, models.WebhookDelivery, **theirs)["id"])) for _ in range(count)]


def claim(platform: Platform, most: int = 100) -> list[outbox.Claimed]:
    return outbox.claim(platform.engine, worker="io/a/1", most=most)


def settle(platform: Platform, claimed: list[outbox.Claimed], status: int, *, disable_s: int = 432_000) -> None:
    answer = Answer(3, status)
    done = [outbox.Done(item, answer, judge(answer, item.event, tries=1, schedule=(0, 5, 5))) for item in claimed]
    outbox.settle(platform.engine, done, pause_s=5, disable_s=disable_s)


@pytest.mark.parametrize("there", [endpoints.MOST - 1, endpoints.MOST, endpoints.MOST + 1])
def test_a_tenant_has_no_more_endpoints_than_it_may_and_one_that_is_deleted_gives_its_place_back(
    platform: Platform, tenant: UUID, there: int
) -> None:
    seal = Seal(platform.settings.sealing)
    mine = [endpoint(platform, tenant) for _ in range(there)]
    endpoint(platform, factories.tenant(platform))

    def make() -> None:
        about = {"url": "https://receiver.example/", "events": ["job.completed"], "description": ""}
        with platform.engine.begin() as connection:
            endpoints.create(connection, seal, tenant, signing=Signing.V1, **about)  # type: ignore[arg-type]

    over = there - (endpoints.MOST - 1)
    for gone in mine[:over]:
        with pytest.raises(errors.WebhookConflict, match="20 endpoints already"):
            make()
        endpoints.delete(platform.engine, tenant, gone)
    make()


@pytest.mark.parametrize("good", [signing_keys.MOST - 1, signing_keys.MOST, signing_keys.MOST + 1])
def test_no_more_keys_are_good_at_once_than_may_be_and_one_that_is_over_gives_its_place_back(
    platform: Platform, tenant: UUID, good: int
) -> None:
    owner = (tenant, endpoint(platform, tenant))
    for number in range(good):
        retires_at = None if number == 0 else SOON
        factories.add(platform, models.WebhookSecret, tenant_id=tenant, endpoint_id=owner[1], retires_at=retires_at)

    def rotate(overlap_s: int) -> None:
        signing_keys.rotate(platform.engine, Seal(platform.settings.sealing), owner, Signing.V1, overlap_s=overlap_s)

    if good >= signing_keys.MOST:
        with pytest.raises(errors.WebhookConflict, match="4 keys are good already"):
            rotate(60)
        platform.execute("UPDATE webhook_secrets SET retires_at = now() WHERE retires_at IS NOT NULL")
    rotate(60)
    rotate(0)
    assert len(signing_keys.good(platform.engine, Seal(platform.settings.sealing), owner)) == 1


def test_a_second_rotation_does_not_prolong_a_key_that_was_to_go_sooner(platform: Platform, tenant: UUID) -> None:
    owner = (tenant, endpoint(platform, tenant))
    soon, late = (text(f"now() + interval '{seconds} s'") for seconds in (600, 90_000))
    for retires_at in (None, soon, late):
        factories.add(platform, models.WebhookSecret, tenant_id=tenant, endpoint_id=owner[1], retires_at=retires_at)
    signing_keys.rotate(platform.engine, Seal(platform.settings.sealing), owner, Signing.V1, overlap_s=3600)
    left = platform.rows(
        "SELECT round(extract(epoch FROM retires_at - now()) / 600) FROM webhook_secrets ORDER BY retires_at"
    )
    # That which was current, and that which was to stay for longer, go with the overlap.
    assert [row[0] for row in left] == [1, 6, 6, None]


@pytest.mark.parametrize(("limit", "name"), [(3, "PER_TARGET"), (3, "PER_TENANT")])
@pytest.mark.parametrize(("sending", "taken"), [(0, 3), (2, 1), (3, 0), (4, 0)])
def test_a_target_and_a_tenant_have_no_more_in_anybodys_hands_than_they_may(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch, limit: int, name: str, sending: int, taken: int
) -> None:
    monkeypatch.setattr(outbox, name, limit)
    one, two = (endpoint(platform, tenant) for _ in range(2))
    other = factories.tenant(platform)
    deliver(platform, other, endpoint(platform, other))
    deliver(platform, tenant, one, sending, status="sending")
    deliver(platform, tenant, one if name == "PER_TARGET" else two, 5)
    found = [item for item in claim(platform) if item.tenant_id == tenant]
    assert len(found) == taken
    if found:
        outbox.give_back(platform.engine, found[:1])
        assert len([item for item in claim(platform) if item.tenant_id == tenant]) == 1


def test_every_target_that_waits_is_found(platform: Platform, tenant: UUID) -> None:
    targets = ["b", "d", "a", "c", "e"]
    for target in targets:
        deliver(platform, tenant, endpoint(platform, tenant), target=target)
    assert sorted(item.target for item in claim(platform)) == sorted(targets)


def test_of_a_tenants_many_origins_no_more_are_held_than_it_may_take_and_all_have_their_turn(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PER_TENANT", 3)
    other, to = factories.tenant(platform), endpoint(platform, tenant)
    deliver(platform, other, endpoint(platform, other))
    for number in range(9):
        deliver(platform, tenant, to, 2, target=f"{tenant} https://{number}.example")
    called = []
    for others in (1, 0, 0, 0, 0, 0):
        found = claim(platform)
        assert len(found) == 3 + others
        # What was locked and left to others says so, until somebody writes it.
        assert platform.one("SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND xmax <> '0'") == (0,)
        settle(platform, found, 200)
        called += [item.target for item in found if item.tenant_id == tenant]
    assert {*Counter(called).values()} == {2}


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_sender_takes_no_more_than_it_asks_for_the_oldest_of_each_receiver_first(
    platform: Platform, tenant: UUID, most: int
) -> None:
    to = endpoint(platform, tenant)
    order = {hours: deliver(platform, tenant, to, next_at=text(f"now() - interval '{hours} h'"))[0] for hours in (1, 3)}
    deliver(platform, tenant, to, next_at=SOON)
    assert {item.id for item in claim(platform, most)} == {order[3], *([order[1]] if most > 1 else [])}


def test_the_oldest_delivery_of_a_receiver_goes_first(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PER_TARGET", 2)
    to = endpoint(platform, tenant)
    late = deliver(platform, tenant, to, next_at=PAST)
    early = deliver(platform, tenant, to, next_at=text("now() - interval '2 h'"))
    same = deliver(platform, tenant, to, 2, next_at=text("'2026-01-01'"))
    assert {item.id for item in claim(platform)} == set(same)
    platform.execute("UPDATE webhook_deliveries SET status = 'delivered', lease_expires_at = NULL, finished_at = now()"
                     " WHERE status = 'sending'")  # fmt: skip
    deliver(platform, tenant, to)
    assert {item.id for item in claim(platform)} == {*early, *late}


@pytest.mark.parametrize(("failures", "taken"), [(0, 5), (4, 5), (5, 1), (6, 1)])
def test_a_receiver_that_failed_five_times_is_called_one_at_a_time(
    platform: Platform, tenant: UUID, failures: int, taken: int
) -> None:
    to = endpoint(platform, tenant)
    deliver(platform, tenant, to, 5)
    if failures:
        factories.add(platform, models.WebhookTrouble, target=str(to), failures=failures, held_until=PAST)
    found = claim(platform)
    assert len(found) == taken
    if failures >= 5:
        assert claim(platform) == []
        # One that it took, and it is as any other.
        settle(platform, found, 200)
        assert len(claim(platform)) == 4


@pytest.mark.parametrize(("failures", "held_s"), [(3, 0), (4, 5), (5, 10), (6, 20), (7, 40), (8, 60), (30, 60)])
def test_a_target_is_held_for_twice_as_long_each_time_up_to_a_minute(
    platform: Platform, tenant: UUID, failures: int, held_s: int
) -> None:
    to = endpoint(platform, tenant)
    deliver(platform, tenant, to)
    deliver(platform, tenant, to, event="job.failed", next_at=SOON)
    claimed = claim(platform)
    factories.add(platform, models.WebhookTrouble, target=str(to), failures=failures, held_until=PAST)
    settle(platform, claimed, 500)
    found = platform.one("SELECT failures, round(extract(epoch FROM held_until - now()) / 5) * 5 FROM webhook_troubles")
    assert (found[0], max(0, int(str(found[1])))) == (failures + 1, held_s)
    platform.execute("UPDATE webhook_deliveries SET next_at = now() - interval '1 s'")
    assert (claim(platform) == []) is (held_s > 0)


@pytest.mark.parametrize(
    ("failures", "failing_s", "stays_on"),
    [
        (19, 90_000, False),
        (20, 90_000, False),
        (18, 900_000_000, True),
        (20, 80_000, True),
        (0, 900_000_000, True),
    ],
)
def test_an_endpoint_with_fewer_than_twenty_failures_stays_on_however_long(
    platform: Platform, tenant: UUID, failures: int, failing_s: int, stays_on: bool
) -> None:
    to = endpoint(platform, tenant)
    deliver(platform, tenant, to)
    since = text(f"now() - interval '{failing_s} s'")
    claimed = claim(platform)
    factories.add(
        platform, models.WebhookTrouble, target=str(to), failures=failures, failing_since=since, held_until=PAST
    )
    settle(platform, claimed, 500, disable_s=86_400)
    found = endpoints.get(platform.engine, tenant, to)
    assert (found.enabled, found.disabled_code) == (stays_on, None if stays_on else switching.Reason.FAILING)


@pytest.mark.parametrize(("failed", "pieces"), [(1, [1]), (2, [2, 0]), (3, [2, 1])])
def test_no_more_are_asked_for_again_at_once_than_may_be_and_it_is_said_where_to_go_on(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch, failed: int, pieces: list[int]
) -> None:
    monkeypatch.setattr(deliveries, "MOST_AGAIN", 2)
    to = endpoint(platform, tenant)
    deliver(platform, tenant, to, failed, status="failed")
    since, until = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(3000, 1, 1, tzinfo=dt.UTC)
    found, after = [], 0
    for _ in pieces:
        about = endpoints.get(platform.engine, tenant, to)
        count, behind = deliveries.redeliver_since(
            platform.engine, about, since, until, after=after, delivered_too=False
        )
        found.append(count)
        after = behind or after
    assert found == pieces


@pytest.mark.parametrize(
    "given",
    [{"since": text("now() - interval '1 y'")}, {"status": "delivered", "finished_at": text("now() - interval '1 y'")}],
)
def test_a_sweep_takes_no_more_than_its_limit_at_once_and_the_next_goes_on(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    monkeypatch.setattr(chores, "LIMIT", 2)
    deliver(platform, tenant, endpoint(platform, tenant), 3, **given)
    over, left = "finished_at IS NULL OR finished_at < now() - interval '2 d'", []
    for _ in range(2):
        chores.give_up(platform.engine, (0.0,))
        chores.purge(platform.engine)
        left.append(len(platform.rows(f"SELECT FROM webhook_deliveries WHERE {over}")))
    assert left == [1, 0]


def test_what_ended_first_is_forgotten_first(platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "LIMIT", 1)
    place = endpoint(platform, tenant)
    for days in (400, 800, 600):
        deliver(platform, tenant, place, status="delivered", finished_at=text(f"now() - interval '{days} d'"))
    for oldest in (600, 400):
        chores.purge(platform.engine)
        found = platform.one("SELECT extract(day FROM max(now() - finished_at))::int FROM webhook_deliveries")
        assert found == (oldest,)


def handed(process: Slots, target: str, tenant: UUID, count: int) -> list[outbox.Claimed]:
    """So many for a target; what there is a place for now."""
    process.put(
        outbox.Claimed(UUID(int=number), tenant, None, target, "job.completed", "", 1, 0, 0.0, "url", ())
        for number in range(count)
    )
    return process.begin()


def test_a_target_has_one_call_until_it_took_one_and_then_four_and_one_again_after_a_failure(tenant: UUID) -> None:
    process = Slots(places=100)
    (first,) = handed(process, "a", tenant, 20)
    assert process.begin() == []
    process.end(first, delivered=True)
    begun = process.begin()
    assert len(begun) == CALLS_PER_TARGET
    process.end(begun[0], delivered=True)
    assert len(process.begin()) == 1
    process.end(begun[1], delivered=False)
    assert process.begin() == []


def test_a_process_has_no_more_calls_than_places_and_a_tenant_no_more_than_its_part(tenant: UUID) -> None:
    process = Slots(places=20)
    begun = [item for target in range(10) for item in handed(process, f"a{target}", tenant, 1)]
    assert len(begun) == 5
    others = [item for number in range(30) for item in handed(process, f"b{number}", UUID(int=number), 1)]
    assert len(others) == 15
    process.end(begun[0], delivered=True)
    # The place goes to somebody who has fewer calls, and the tenant's part has room for one again.
    assert [item.target[0] for item in process.begin()] == ["b"]
    process.end(others[0], delivered=True)
    process.end(others[1], delivered=True)
    assert sum(item.tenant_id == tenant for item in process.begin()) <= 1


@pytest.mark.parametrize("places", [1, 2, 3])
def test_however_few_places_a_process_has_a_tenant_is_called(tenant: UUID, places: int) -> None:
    assert len(handed(Slots(places), "a", tenant, 1)) == 1


def test_of_a_tenants_receivers_the_one_that_has_waited_longest_is_called_first(tenant: UUID) -> None:
    process = Slots(places=1)
    process.put(
        outbox.Claimed(
            UUID(int=number), tenant, None, target, "job.completed", "", 1, 0, 0.0, "url", (), claimed_at=claimed_at
        )
        for number, (target, claimed_at) in enumerate([("late", 3.0), ("early", 1.0), ("then", 2.0)])
    )
    called = []
    while begun := process.begin():
        called += [item.target for item in begun]
        process.end(begun[0], delivered=True)
    assert called == ["early", "then", "late"]


def test_a_process_is_idle_when_nothing_waits_and_what_came_of_all_that_was_begun_is_known(tenant: UUID) -> None:
    process = Slots(places=100)
    assert process.idle
    (first,) = handed(process, "a", tenant, 2)
    process.known(1)
    assert (process.waiting, process.idle) == (1, False)
    process.end(first, delivered=True)
    (second,) = process.begin()
    assert (process.waiting, process.idle) == (0, False)
    process.end(second, delivered=True)
    assert not process.idle
    process.known(1)
    assert process.idle


@pytest.mark.parametrize(("others", "begun"), [(0, 2), (1, 2), (2, 1)])
def test_so_many_receivers_are_remembered_to_have_taken_a_call_and_then_all_are_forgotten(
    tenant: UUID, monkeypatch: pytest.MonkeyPatch, others: int, begun: int
) -> None:
    monkeypatch.setattr(slots, "MOST_PROVEN", 2)
    process = Slots(places=100)
    for target in ["a", *(f"b{number}" for number in range(others))]:
        (call,) = handed(process, target, tenant, 1)
        process.end(call, delivered=True)
    assert len(handed(process, "a", tenant, 2)) == begun


def test_a_held_target_that_answers_well_begins_anew_with_its_failures_and_stays_held(
    platform: Platform, tenant: UUID
) -> None:
    target = str(endpoint(platform, tenant))
    factories.add(
        platform, models.WebhookTrouble, target=target, failures=7, failing_since=text("now() - interval '6 d'"),
    )  # fmt: skip
    platform.execute("UPDATE webhook_troubles SET held_until = now() - interval '1 s'")
    deliver(platform, tenant, UUID(target))
    claimed = claim(platform)
    platform.execute("UPDATE webhook_troubles SET held_until = now() + interval '1 h'")
    settle(platform, claimed, 200)
    left = "SELECT failures, failing_since > now() - interval '1 min', held_until > now() FROM webhook_troubles"
    assert platform.rows(left) == [(0, True, True)]


def test_only_what_the_platform_has_switched_off_is_counted_as_that(platform: Platform, tenant: UUID) -> None:
    for code in (None, switching.Reason.BY_TENANT, switching.Reason.GONE, switching.Reason.FAILING):
        factories.add(
            platform, models.WebhookEndpoint, tenant_id=tenant, enabled=code is None, disabled_code=code, description=""
        )
    assert backlog.read(platform.engine).disabled == 2


def test_no_more_keys_than_it_may_are_good_also_when_many_rotate_at_once(platform: Platform, tenant: UUID) -> None:
    seal, owner = Seal(platform.settings.sealing), (tenant, None)

    def rotate(_: int) -> bool:
        try:
            signing_keys.rotate(platform.engine, seal, owner, Signing.V1, overlap_s=3600)
        except errors.WebhookConflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(rotate, range(12))) == signing_keys.MOST
    assert len(signing_keys.good(platform.engine, seal, owner)) == signing_keys.MOST


DAY_S = 86_400
#: What tenants were told, or what keeps one of them from the places of all: the tests above make some of it smaller.
PROMISED: Mapping[str, tuple[object, object]] = {
    "endpoints of a tenant": (endpoints.MOST, 20),
    "keys that are good at once": (signing_keys.MOST, 4),
    "failures that switch an endpoint off": (switching.LEAST_FAILURES, 20),
    "failures that hold a target": (outbox.TRIP, 5),
    "seconds that a target is held": (outbox.MAX_HOLD_S, 60),
    "in anybody's hands of one target": (outbox.PER_TARGET, 64),
    "in anybody's hands of one tenant": (outbox.PER_TENANT, 256),
    "taken back at once": (outbox.LIMIT, 500),
    "swept at once": (chores.LIMIT, 1000),
    "asked for again at once": (deliveries.MOST_AGAIN, 10_000),
    "calls to one target at once": (slots.CALLS_PER_TARGET, 4),
    "part of a process for one tenant": (slots.PART_PER_TENANT, 0.25),
    "targets that are remembered": (slots.MOST_PROVEN, 10_000),
    "seconds that what was claimed may wait for its call": (courier.STALE_S, 5),
}


@pytest.mark.parametrize("what", PROMISED)
def test_a_limit_is_the_number_that_was_promised(what: str) -> None:
    found, promised = PROMISED[what]
    assert found == promised


def test_a_lease_outlives_the_longest_call_that_the_settings_allow(platform: Platform) -> None:
    claimed_for = "SELECT extract(epoch FROM lease_expires_at - clock_timestamp())::float FROM webhook_deliveries"
    mine = factories.tenant(platform)
    deliver(platform, mine, endpoint(platform, mine), next_at=PAST)
    claim(platform)
    assert 60 < float(str(platform.one(claimed_for)[0])) <= 90


@pytest.mark.parametrize(
    ("status", "keep_s", "kept_s"),
    [
        ("delivered", 10 * DAY_S, 10 * DAY_S),
        ("failed", 10 * DAY_S, 30 * DAY_S),
        ("delivered", 60 * DAY_S, 60 * DAY_S),
        ("failed", 60 * DAY_S, 60 * DAY_S),
    ],
)
@pytest.mark.parametrize("off_s", [-60, 60])
def test_what_has_ended_is_kept_as_long_as_its_tier_says_and_a_failed_one_for_thirty_days_at_least(
    platform: Platform, status: str, keep_s: int, kept_s: int, off_s: int
) -> None:
    mine = factories.tenant(platform, keep_s=keep_s)
    ended = text(f"now() - interval '{kept_s + off_s} s'")
    deliver(platform, mine, endpoint(platform, mine), status=status, finished_at=ended)
    assert chores.purge(platform.engine) == (off_s > 0)


@pytest.mark.parametrize(
    ("status", "off_s", "gone"),
    [("failed", -60, 0), ("failed", 60, 1), ("delivered", -60, 1), ("delivered", -30 * DAY_S, 0)],
)
def test_what_a_tenant_that_is_gone_has_left_in_the_log_is_forgotten_like_any_other(
    platform: Platform, tenant: UUID, status: str, off_s: int, gone: int
) -> None:
    nobody = UUID(int=7)
    ended = text(f"now() - interval '{30 * DAY_S + off_s} s'")
    deliver(platform, nobody, endpoint(platform, tenant), status=status, finished_at=ended)
    assert chores.purge(platform.engine) == gone


@pytest.mark.parametrize(("off_s", "left"), [(-60, 1), (60, 0)])
def test_a_trouble_is_forgotten_thirty_days_after_it_was_over(platform: Platform, off_s: int, left: int) -> None:
    until = text(f"now() - interval '{30 * DAY_S + off_s} s'")
    factories.add(platform, models.WebhookTrouble, target="a", held_until=until)
    assert chores.recover(platform.engine) == 1 - left
    assert len(platform.rows("SELECT FROM webhook_troubles")) == left


def test_no_more_troubles_are_forgotten_at_once_than_may_be(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores, "LIMIT", 2)
    for target in "abc":
        factories.add(platform, models.WebhookTrouble, target=target, held_until=text("now() - interval '1 y'"))
    assert [chores.recover(platform.engine) for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize(("off_s", "gone"), [(-60, 0), (60, 1)])
def test_what_waits_is_given_up_after_its_whole_schedule_and_what_receivers_may_add(
    platform: Platform, tenant: UUID, off_s: int, gone: int
) -> None:
    # A fifth more than the schedule says, as each wait may be, and a day.
    waited = text(f"now() - interval '{120 * 1000 + DAY_S + off_s} s'")
    deliver(platform, tenant, endpoint(platform, tenant), since=waited)
    assert chores.give_up(platform.engine, (0.0, 40_000.0, 60_000.0)) == gone


def test_of_all_that_is_old_only_what_waits_is_given_up_with_what_was_wrong_with_it_last(
    platform: Platform, tenant: UUID
) -> None:
    to, old = endpoint(platform, tenant), text("now() - interval '1 y'")
    (never,) = deliver(platform, tenant, to, since=old)
    (tried,) = deliver(platform, tenant, to, event="job.failed", since=old, last_error="TIMED_OUT")
    others = {
        status: deliver(platform, tenant, to, event="job.expired", since=old, status=status)[0]
        for status in ("sending", "delivered")
    }
    assert chores.give_up(platform.engine, (0.0,)) == 2
    found = {row.id: (row.status, row.last_error) for row in platform.rows("SELECT * FROM webhook_deliveries")}
    assert (found[never], found[tried]) == (("failed", "NEVER_REACHED"), ("failed", "TIMED_OUT"))
    assert {status: found[one][0] for status, one in others.items()} == {status: status for status in others}


def test_a_wait_is_up_to_a_fifth_shorter_or_longer_so_that_many_do_not_come_back_at_once() -> None:
    schedule = (0.0, 100.0, 1000.0)
    for tries, said in ((1, 100), (2, 1000)):
        waits = [judge(Answer(3, 500), "job.completed", tries=tries, schedule=schedule).delay_s for _ in range(300)]
        assert 0.8 * said <= min(waits) < 0.9 * said
        assert 1.1 * said < max(waits) <= 1.2 * said
    assert judge(Answer(3, 500), "job.completed", tries=3, schedule=schedule).ending == "failed"
