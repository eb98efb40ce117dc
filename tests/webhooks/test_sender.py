"""One call: what is never sent, that a bug of ours ends nothing, and what is counted and kept of it."""

from __future__ import annotations

import http.server
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from core.seal import Seal
from core.settings import Settings
from tests.changed import changed
from tests.conftest import Platform
from tests.webhooks.conftest import Receiver, Tenant, say
from webhooks.courier import Courier
from webhooks.outbox import Claimed
from webhooks.receivers import Receivers
from webhooks.sender import Sender
from webhooks.signing import SECRET_BYTES, Signing, new_key
from webhooks.trouble import Trouble
from webhooks.verdict import Ending

NewReceiver = Callable[..., Receiver]


def opened(sealed: str, _: object) -> str:
    return sealed


def sender(settings: Settings, open_: Callable[..., str] = opened) -> Sender:
    """One whose keys are sealed by nobody."""
    return Sender(settings.webhooks, cast(Seal, SimpleNamespace(open=open_)), Receivers(settings))


def delivery(url: str | None, *keys: str) -> Claimed:
    return Claimed(uuid4(), uuid4(), uuid4(), "a", "job.completed", "{}", 1, 0, time.time(), url, keys)


def test_nothing_is_sent_that_nobody_can_check(receiver: Receiver, hasty: Settings) -> None:
    for item in (delivery(receiver.url), delivery(None, new_key(Signing.V1).secret)):
        done = sender(hasty).send(item)
        assert (done.answer.error, done.answer.ms, done.verdict.ending) == ("ENDPOINT_DISABLED", 0, Ending.FAILED)
    assert receiver.calls == []


def test_a_call_is_signed_with_the_databases_time_where_a_machines_clock_is_wrong(
    receiver: Receiver, hasty: Settings
) -> None:
    claimed_s = time.time() - 86_400
    sender(hasty).send(replace(delivery(receiver.url, new_key(Signing.V1).secret), claimed_s=claimed_s))
    (call,) = receiver.got(1)
    assert 0 <= int(call.headers["webhook-timestamp"]) - int(claimed_s) < 600


def test_a_bug_of_ours_is_an_answer_like_any_other_and_is_tried_again(receiver: Receiver, hasty: Settings) -> None:
    def bug(*_: object) -> str:
        raise ZeroDivisionError

    done = sender(hasty, bug).send(delivery(receiver.url, "key"))
    assert (done.answer.error, done.answer.status, done.verdict.ending) == (Trouble.INTERNAL, None, Ending.AGAIN)
    assert receiver.calls == []


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.mark.parametrize(("status", "result"), [(204, "delivered"), (503, "503"), (None, "CONNECTION_FAILED")])
def test_each_call_is_counted_by_what_came_of_it_and_by_its_time(
    new_receiver: NewReceiver, hasty: Settings, status: int | None, result: str
) -> None:
    def behave(call: http.server.BaseHTTPRequestHandler, number: int) -> None:
        time.sleep(0.05)
        if status is not None:
            say(status)(call, number)

    url, results = new_receiver(behave).url, "webhook_deliveries_total"
    before = [counted(results, result=result), counted("webhook_delivery_seconds_sum")]
    done = sender(hasty).send(delivery(url, new_key(Signing.V1).secret))
    assert done.answer.status == status
    assert 50 <= done.answer.ms < 10_000
    assert counted(results, result=result) == before[0] + 1
    assert counted("webhook_delivery_seconds_sum") - before[1] == pytest.approx(done.answer.ms / 1000)


def test_a_key_is_as_long_as_its_hash() -> None:
    assert SECRET_BYTES == 32
    assert len(new_key(Signing.V1).secret) == len("whsec_") + 44


@pytest.mark.parametrize(("schedule", "held_s"), [((0.0, 100.0, 1000.0), 100), ((50.0,), 50)])
def test_a_target_that_fails_is_left_alone_as_long_as_a_delivery_that_failed_for_the_first_time(
    tenant: Tenant, new_receiver: NewReceiver, new_courier: Callable[[Settings], Courier], hasty: Settings,
    platform: Platform, monkeypatch: pytest.MonkeyPatch, schedule: tuple[float, ...], held_s: int
) -> None:  # fmt: skip
    monkeypatch.setattr("webhooks.outbox.TRIP", 1)
    monkeypatch.setattr("webhooks.outbox.MAX_HOLD_S", 10_000.0)
    courier = new_courier(changed(hasty, webhook_schedule=schedule))
    endpoint = tenant.endpoint(new_receiver(say(500)).url)
    platform.execute("INSERT INTO webhook_troubles (target, failures) SELECT id::text, 0 FROM webhook_endpoints")
    tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/test")
    assert courier.drain() == 1
    left = platform.one("SELECT extract(epoch FROM held_until - now())::float FROM webhook_troubles")[0]
    assert held_s - 30 < float(str(left)) <= held_s


def test_of_what_was_sent_it_is_said_how_much_it_was(
    tenant: Tenant, receiver: Receiver, courier: Courier, platform: Platform
) -> None:
    endpoint = tenant.endpoint(receiver.url)
    for _ in range(3):
        tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/test")
    # Whoever makes another one from now on wakes a sender again.
    platform.line.redis.set("coatcheck:hint:webhooks", b"1", px=600_000)
    assert [courier.drain() for _ in range(2)] == [3, 0]
    assert platform.line.redis.exists("coatcheck:hint:webhooks") == 0
    assert len(receiver.calls) == 3
