"""One receiver, or one tenant, never holds up another."""

from __future__ import annotations

import threading
from collections.abc import Callable

import flask

from core.settings import Settings
from tests.changed import changed
from tests.conftest import Platform, until
from tests.webhooks.conftest import Receiver, Tenant, owed, say
from webhooks.courier import Courier

NewReceiver = Callable[..., Receiver]


def test_a_receiver_that_hangs_costs_the_others_nothing(
    tenant: Tenant, new_receiver: NewReceiver, new_courier: Callable[[Settings], Courier], hasty: Settings,
    platform: Platform
) -> None:  # fmt: skip
    release = threading.Event()
    hangs, good, better = new_receiver(lambda *_: release.wait(600)), new_receiver(), new_receiver()
    for item in (hangs, good, better):
        tenant.endpoint(item.url, "job.canceled")
    courier = new_courier(changed(hasty, webhook_senders=32, webhook_timeout_s=300.0))
    owed(platform, tenant, 300)
    thread = threading.Thread(target=courier.drain)
    thread.start()
    good.got(300)
    better.got(300)
    assert len(hangs.calls) == 1
    platform.execute("UPDATE webhook_deliveries SET status = 'failed', finished_at = now() WHERE status = 'pending'")
    release.set()
    hangs.behave = say(200)
    thread.join(300)
    assert not thread.is_alive()


def test_what_stands_behind_a_receiver_that_fails_is_not_charged(
    tenant: Tenant, new_receiver: NewReceiver, courier: Courier, platform: Platform
) -> None:
    receiver = new_receiver(say(500))
    tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 200)
    courier.drain()
    tried = platform.one("SELECT count(*) FROM webhook_deliveries WHERE attempt > tries_before")[0]
    assert len(receiver.calls) < 25
    assert tried == platform.one("SELECT count(DISTINCT delivery_id) FROM webhook_attempts")[0]
    receiver.behave = say(200)
    until(lambda: courier.drain() or platform.one("SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'")
          == (200,))  # fmt: skip


def test_two_senders_share_the_work_and_call_nobody_twice(
    tenant: Tenant, receiver: Receiver, new_courier: Callable[[Settings], Courier], hasty: Settings, platform: Platform
) -> None:
    tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 400)
    patient = changed(hasty, webhook_timeout_s=300.0)
    threads = [threading.Thread(target=new_courier(patient).drain) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len({item.id for item in receiver.calls}) == len(receiver.calls) == 400
    assert platform.one("SELECT max(attempt - tries_before), min(status) FROM webhook_deliveries") == (1, "delivered")


def test_a_tenant_whose_receivers_all_hang_does_not_hold_up_another(
    tenant: Tenant, new_receiver: NewReceiver, new_courier: Callable[[Settings], Courier], hasty: Settings,
    platform: Platform, app: flask.Flask
) -> None:  # fmt: skip
    release = threading.Event()
    for receiver in [new_receiver(lambda *_: release.wait(600)) for _ in range(12)]:
        tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 30)
    courier = new_courier(changed(hasty, webhook_senders=16, webhook_timeout_s=300.0))
    thread = threading.Thread(target=courier.drain)
    thread.start()
    until(lambda: platform.one("SELECT count(*) > 50 FROM webhook_deliveries WHERE status = 'sending'")[0])
    _, key = platform.new_tenant()
    other = Tenant(app.test_client())
    other.http.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    good = new_receiver()
    other.http.post(f"/api/v1/webhooks/{other.endpoint(good.url)['id']}/test")
    good.got(1)
    platform.execute("UPDATE webhook_deliveries SET status = 'failed', finished_at = now() WHERE status = 'pending'")
    release.set()
    thread.join(300)
    assert not thread.is_alive()
