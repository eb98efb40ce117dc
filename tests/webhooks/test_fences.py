"""Every statement of `webhooks` that writes: what is another sender's by now, has ended or is another tenant's stays as
it is, to the last row.

A new statement that writes needs a case here, or a word on where it is tested.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

import models
import webhooks
from core import errors
from core.seal import Seal
from tests import factories, statements
from tests.conftest import Platform
from tests.factories import PAST, SOON
from webhooks import chores, deliveries, endpoints, outbox, signing_keys, switching
from webhooks.endpoints import Endpoint
from webhooks.http_post import Answer
from webhooks.signing import Signing
from webhooks.verdict import judge

WRITING = statements.writing(webhooks)
TABLE = models.WebhookDelivery.__tablename__
LONG_AGO = text("now() - interval '1 y'")


@dataclass(frozen=True)
class Scene:
    """A delivery as it is, the claim of it that somebody once had, and who asks for something of which endpoint."""

    platform: Platform
    held: outbox.Claimed
    asks: UUID
    of: UUID
    others: tuple[UUID, UUID]  #: a tenant, and its endpoint, of which nobody speaks

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of who asks."""
        (found,) = endpoints.of_tenant(self.platform.engine, self.asks)
        return found


@dataclass(frozen=True)
class Case:
    """How a statement comes to be issued, and the situation in which it does write."""

    write: Callable[[Scene], object]
    where: str = "sending"


def answered(status: int) -> Callable[[Scene], object]:
    def write(scene: Scene) -> None:
        answer = Answer(3, status)
        verdict = judge(answer, scene.held.event, tries=1, schedule=(0, 5))
        done = [outbox.Done(scene.held, answer, verdict)]
        outbox.settle(scene.platform.engine, done, pause_s=5, disable_s=432_000)

    return write


def asked(ask: Callable[[Scene], object]) -> Callable[[Scene], None]:
    """By whoever it is: a stranger is told that there is no such thing."""

    def write(scene: Scene) -> None:
        with contextlib.suppress(errors.WebhookNotFound, errors.WebhookConflict, errors.DeliveryNotFound):
            ask(scene)

    return write


def again(scene: Scene) -> object:
    theirs = deliveries.get(scene.platform.engine, scene.held.tenant_id, scene.held.id)
    return deliveries.redeliver(scene.platform.engine, scene.asks, theirs)


def many_again(scene: Scene) -> object:
    since, until = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(3000, 1, 1, tzinfo=dt.UTC)
    return deliveries.redeliver_since(scene.platform.engine, scene.endpoint, since, until, after=0, delivered_too=True)


def change(**changes: Any) -> Callable[[Scene], object]:
    return asked(lambda scene: endpoints.change(scene.platform.engine, scene.asks, scene.of, changes))


def rotate(scene: Scene) -> None:
    owner, seal = (scene.asks, scene.of), Seal(scene.platform.settings.sealing)
    signing_keys.rotate(scene.platform.engine, seal, owner, Signing.V1, overlap_s=60)


def purge(scene: Scene) -> int:
    return chores.purge(scene.platform.engine)


CASES: Mapping[str, Case] = {
    "outbox._CLAIM": Case(lambda s: outbox.claim(s.platform.engine, worker="io/c/3", most=10), "due"),
    "outbox._SETTLE": Case(answered(500)),
    "outbox._GIVE_BACK": Case(lambda s: outbox.give_back(s.platform.engine, [s.held])),
    "outbox._WELL": Case(answered(200)),
    "outbox._WELL_BUT_HELD": Case(answered(200)),
    "outbox._ILL": Case(answered(503)),
    "outbox._LEASE_OVER": Case(lambda s: outbox.lease_over(s.platform.engine), "its lease is over"),
    "outbox._NODE_BORN_AGAIN": Case(lambda s: outbox.node_born_again(s.platform.engine, "io/b")),
    "switching._DISABLE": Case(answered(410)),
    "switching._FAIL_WAITING": Case(answered(410)),
    "switching._NOTIFY": Case(answered(410)),
    "switching._FORGIVE": Case(change(url="https://another.example/")),
    "switching._ENABLE": Case(change(enabled=True, description="on")),
    "endpoints._CHANGE": Case(change(description="another")),
    "endpoints._DELETE": Case(asked(lambda s: endpoints.delete(s.platform.engine, s.asks, s.of))),
    "deliveries._ONE_AGAIN": Case(asked(again), "delivered"),
    "deliveries._MANY_AGAIN": Case(asked(many_again), "failed"),
    "signing_keys._RETIRE": Case(asked(rotate)),
    "signing_keys._RETIRED": Case(purge, "its old key is over"),
    "chores._OVERDUE": Case(lambda s: chores.give_up(s.platform.engine, (0.0,)), "it has waited for too long"),
    "chores._OLD": Case(purge, "it is old"),
    "chores._RECOVERED": Case(lambda s: chores.recover(s.platform.engine), "its trouble is long ago"),
}

ELSEWHERE = {
    "deliveries._INSERT": "a new row",
    "endpoints._INSERT": "a new row",
    "signing_keys._INSERT": "a new row: test_endpoints, of many who make the first key at once",
}

#: In which nobody who had the delivery once, no sweep and no stranger may change anything.
NOT_THEIRS: Mapping[str, Mapping[str, Any]] = {
    "a successor has it": {"status": "sending", "attempt": 2, "worker": "io/b/2"},
    "it waits again": {"status": "pending", "attempt": 1, "next_at": SOON},
    "delivered": {"status": "delivered"},
    "failed": {"status": "failed"},
}
THEIRS: Mapping[str, Mapping[str, Any]] = {
    "sending": {"status": "sending"},
    "due": {"next_at": PAST},
    "delivered": {"status": "delivered"},
    "failed": {"status": "failed"},
    "its lease is over": {"status": "sending", "lease_expires_at": PAST},
    "its old key is over": {"status": "delivered"},
    "it has waited for too long": {"since": LONG_AGO},
    "it is old": {"status": "delivered", "finished_at": LONG_AGO},
    "its trouble is long ago": {"status": "delivered"},
}


def receiver(platform: Platform, tenant: UUID) -> UUID:
    """An endpoint with a key and some trouble."""
    events = ["job.completed", "webhook.disabled"]
    found = factories.add(platform, models.WebhookEndpoint, tenant_id=tenant, description="", events=events)["id"]
    factories.add(platform, models.WebhookSecret, tenant_id=tenant, endpoint_id=found)
    factories.add(platform, models.WebhookTrouble, target=str(found), failures=3)
    return UUID(str(found))


def bystanders(platform: Platform) -> tuple[UUID, UUID]:
    """Another tenant with one delivery of each kind, held by the same attempt, of which nobody speaks."""
    other = factories.tenant(platform)
    endpoint = receiver(platform, other)
    theirs = {"tenant_id": other, "endpoint_id": endpoint}
    for given in ({"next_at": SOON}, {"status": "sending", "worker": "elsewhere/a/1"}, {"status": "delivered"}):
        factories.add(platform, models.WebhookDelivery, **theirs, **given)
    return other, endpoint


def scene(platform: Platform, situation: str, given: Mapping[str, Any]) -> Scene:
    others = bystanders(platform)
    tenant = factories.tenant(platform)
    endpoint = receiver(platform, tenant)
    row = factories.add(platform, models.WebhookDelivery, tenant_id=tenant, endpoint_id=endpoint, **given)
    if situation == "its old key is over":
        factories.add(platform, models.WebhookSecret, tenant_id=tenant, endpoint_id=endpoint, retires_at=PAST)
    if situation == "its trouble is long ago":
        factories.add(platform, models.WebhookTrouble, held_until=LONG_AGO)
    held = outbox.Claimed(
        row["id"], tenant, endpoint, str(endpoint), "job.completed", "{}", 1, 0, time.time(),
        "https://receiver.example/hook", ["key"],
    )  # fmt: skip
    return Scene(platform, held, asks=tenant, of=endpoint, others=others)


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


def test_every_statement_that_writes_has_a_case_or_a_place_where_it_is_tested() -> None:
    assert set(CASES) | set(ELSEWHERE) == set(WRITING)
    assert not set(CASES) & set(ELSEWHERE)
    assert statements.hidden(webhooks) == []


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_about_its_statement_which_does_write_where_it_may(platform: Platform, name: str) -> None:
    case = CASES[name]
    found = scene(platform, case.where, THEIRS[case.where])
    before = statements.rows(platform)
    with statements.issued(platform.engine) as issued:
        case.write(found)
    assert WRITING[name] in issued
    changed = [row for rows in statements.changed(before, statements.rows(platform)).values() for row in rows]
    assert changed
    assert not [row for row in changed if any(str(other) in row for other in found.others)]


@pytest.mark.parametrize("name", ["_SETTLE", "_GIVE_BACK", "_LEASE_OVER", "_NODE_BORN_AGAIN"])
def test_who_lets_go_of_a_delivery_leaves_neither_its_name_nor_a_lease(platform: Platform, name: str) -> None:
    case = CASES[f"outbox.{name}"]
    found = scene(platform, case.where, THEIRS[case.where])
    case.write(found)
    left = platform.one(
        "SELECT status, worker, lease_expires_at FROM webhook_deliveries WHERE id = :id", id=found.held.id
    )
    assert left == ("pending", None, None)


@pytest.mark.parametrize("situation", NOT_THEIRS)
@pytest.mark.parametrize("name", CASES)
def test_nothing_that_is_another_senders_by_now_has_ended_or_is_another_tenants_is_changed(
    platform: Platform, name: str, situation: str
) -> None:
    found = scene(platform, situation, NOT_THEIRS[situation])
    stranger = factories.tenant(platform)
    receiver(platform, stranger)
    found = replace(found, asks=stranger)
    before = statements.rows(platform)
    CASES[name].write(found)
    assert statements.changed(before, statements.rows(platform)) == {}


@pytest.mark.parametrize("situation", ["sending", "due"])
def test_nobody_asks_again_for_what_is_on_its_way(platform: Platform, situation: str) -> None:
    found = scene(platform, situation, THEIRS[situation])
    before = statements.rows(platform)
    with pytest.raises(errors.WebhookConflict):
        again(found)
    assert many_again(found) == (0, None)
    assert statements.changed(before, statements.rows(platform)) == {}


def test_what_a_jobs_own_receiver_is_owed_is_asked_for_again_by_its_tenant_alone(platform: Platform) -> None:
    found = scene(platform, "delivered", {**THEIRS["delivered"], "url": "https://receiver.example/", "target": "a"})
    platform.execute("UPDATE webhook_deliveries SET endpoint_id = NULL WHERE id = :id", id=found.held.id)
    before = statements.rows(platform)
    with pytest.raises(errors.WebhookConflict):
        again(replace(found, asks=factories.tenant(platform)))
    assert set(statements.changed(before, statements.rows(platform))) == {"tenants"}
    again(found)
    assert platform.one("SELECT status FROM webhook_deliveries WHERE id = :id", id=found.held.id) == ("pending",)


def test_that_an_endpoint_was_switched_off_is_told_to_those_of_its_tenant_that_are_on_and_asked_alone(
    platform: Platform,
) -> None:
    found = scene(platform, "sending", THEIRS["sending"])
    asked = {"tenant_id": found.asks, "events": ["webhook.disabled"]}
    told = factories.add(platform, models.WebhookEndpoint, **asked)["id"]
    for given in ({"enabled": False, "disabled_code": "BY_TENANT"}, {"events": ["job.failed"]}):
        factories.add(platform, models.WebhookEndpoint, **{**asked, **given})
    answered(410)(found)
    sent = platform.rows("SELECT tenant_id, endpoint_id, target FROM webhook_deliveries WHERE event LIKE 'webhook.%'")
    assert sent == [(found.asks, told, str(told))]


@pytest.mark.parametrize("reason", switching.Reason)
@pytest.mark.parametrize("again", switching.Reason)
def test_an_endpoint_that_is_off_stays_off_for_its_first_reason_and_nobody_is_told_again(
    platform: Platform, reason: switching.Reason, again: switching.Reason
) -> None:
    found = scene(platform, "delivered", THEIRS["delivered"])
    factories.add(platform, models.WebhookEndpoint, tenant_id=found.asks, events=["webhook.disabled"])
    states = []
    for why in (reason, again):
        with platform.engine.begin() as connection:
            switching.disable(connection, found.of, why)
        states.append((endpoints.get(platform.engine, found.asks, found.of), len(statements.rows(platform)[TABLE])))
    assert states[0] == states[1]
    assert states[0][0].disabled_code == reason


#: What goes through many deliveries and must not stand still before one that somebody else is just writing.
SWEEPING = ["outbox._CLAIM", "outbox._LEASE_OVER", "outbox._NODE_BORN_AGAIN", "chores._OVERDUE", "chores._OLD",
            "chores._RECOVERED"]  # fmt: skip


def test_every_statement_that_skips_what_is_locked_is_tried_on_a_locked_row() -> None:
    assert set(SWEEPING) == {name for name, statement in WRITING.items() if "SKIP LOCKED" in statement.text}


@pytest.mark.parametrize("name", SWEEPING)
def test_a_sweep_waits_for_nothing_that_somebody_holds_and_finds_it_the_next_time(
    platform: Platform, name: str
) -> None:
    case = CASES[name]
    found = scene(platform, case.where, THEIRS[case.where])
    before = statements.rows(platform)
    with platform.admin.begin() as somebody:
        somebody.execute(text("SELECT FROM webhook_deliveries WHERE id = :id FOR UPDATE"), {"id": found.held.id})
        somebody.execute(text("SELECT FROM webhook_troubles FOR UPDATE"))
        # It would wait for five seconds, and fail.
        case.write(found)
        assert statements.changed(before, statements.rows(platform)) == {}
    case.write(found)
    assert statements.changed(before, statements.rows(platform)) != {}


def test_a_sender_does_not_wait_for_a_delivery_that_somebody_holds(platform: Platform) -> None:
    held = scene(platform, "due", THEIRS["due"]).held
    free = factories.add(
        platform, models.WebhookDelivery, tenant_id=held.tenant_id, endpoint_id=held.endpoint_id, next_at=PAST
    )
    with platform.admin.begin() as somebody:
        somebody.execute(text("SELECT FROM webhook_deliveries WHERE id = :id FOR UPDATE"), {"id": held.id})
        assert [item.id for item in outbox.claim(platform.engine, worker="io/c/3", most=10)] == [free["id"]]


#: Of a delivery: its columns, each with a value that no write would choose.
BEFORE: Mapping[str, Any] = {
    "attempt": 7, "tries_before": 2, "next_at": SOON, "since": LONG_AGO, "last_status": 418, "last_error": "BEFORE",
}  # fmt: skip
FREE: Mapping[str, Any] = {"worker": None, "lease_expires_at": None}
#: What a write leaves in them that was not there before, once a sender had it, or after it had ended.
LEFT: Mapping[str, tuple[Case, Mapping[str, Any]]] = {
    "claimed": (
        CASES["outbox._CLAIM"],
        {"status": "sending", "attempt": 8, "worker": "io/c/3", "lease_expires_at": "later"},
    ),
    "to be tried again": (
        CASES["outbox._SETTLE"],
        {**FREE, "status": "pending", "next_at": "now", "last_status": 500, "last_error": None},
    ),
    "delivered": (
        Case(answered(200)),
        {**FREE, "status": "delivered", "next_at": "now", "last_status": 200, "last_error": None, "finished_at": "now"},
    ),
    "given back": (CASES["outbox._GIVE_BACK"], {**FREE, "status": "pending", "tries_before": 3}),
    **{
        f"taken back by {name}": (
            CASES[f"outbox.{name}"],
            {**FREE, "status": "pending", "tries_before": 3, "next_at": "now", "last_error": "WORKER_LOST"},
        )
        for name in ("_LEASE_OVER", "_NODE_BORN_AGAIN")
    },
    "switched off": (
        Case(change(enabled=False), "due"),
        {"status": "failed", "last_error": "ENDPOINT_DISABLED", "finished_at": "now"},
    ),
    "deleted": (
        Case(CASES["endpoints._DELETE"].write, "due"),
        {"status": "failed", "last_error": "ENDPOINT_DELETED", "finished_at": "now"},
    ),
    "overdue": (CASES["chores._OVERDUE"], {"status": "failed", "finished_at": "now"}),
    **{
        f"asked for again by {name}": (
            CASES[f"deliveries.{name}"],
            {"status": "pending", "tries_before": 7, "next_at": "now", "since": "now", "finished_at": None},
        )
        for name in ("_ONE_AGAIN", "_MANY_AGAIN")
    },
}


def columns(platform: Platform, delivery: UUID) -> dict[str, Any]:
    """As they are, moments as before now, now and later."""
    row = platform.one("SELECT *, clock_timestamp() AS clock FROM webhook_deliveries WHERE id = :id", id=delivery)
    minute = dt.timedelta(minutes=1)

    def said(value: object) -> object:
        if not isinstance(value, dt.datetime):
            return value
        ago = row.clock - value
        return "now" if abs(ago) < minute else "before" if ago > minute else "later"

    return {name: said(value) for name, value in row._mapping.items()}


@pytest.mark.parametrize("how", LEFT)
def test_a_write_changes_of_a_delivery_what_it_is_about_to_the_last_column_and_nothing_else(
    platform: Platform, how: str
) -> None:
    case, left = LEFT[how]
    found = scene(platform, case.where, {**BEFORE, **THEIRS[case.where]})
    found = replace(found, held=replace(found.held, attempt=7))
    before = columns(platform, found.held.id)
    case.write(found)
    after = columns(platform, found.held.id)
    assert after == {**before, **left}
    assert {name: value for name, value in after.items() if before[name] != value} == left
