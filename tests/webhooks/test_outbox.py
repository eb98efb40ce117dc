"""What a sender leaves behind is sent by the next one."""

from __future__ import annotations

import http.server
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import standardwebhooks
from sqlalchemy import text

from core import broker, ids
from core.settings import Settings
from local.child import Child
from tests.changed import changed
from tests.conftest import Platform, until
from tests.hands import clean_up, work
from tests.webhooks.conftest import Receiver, Tenant, first, owed, say
from webhooks import outbox, switching
from webhooks.courier import Courier
from webhooks.http_post import Answer
from webhooks.verdict import judge

NewReceiver = Callable[..., Receiver]
Spawn = Callable[..., Child]


def claim_one(platform: Platform, worker: str = "io/old/1") -> outbox.Claimed:
    (found,) = outbox.claim(platform.engine, worker=worker, most=10)
    return found


def settle(platform: Platform, delivery: outbox.Claimed, status: int) -> int:
    answer = Answer(3, status)
    verdict = judge(answer, delivery.event, tries=delivery.tries, schedule=(0, 5))
    return outbox.settle(platform.engine, [outbox.Done(delivery, answer, verdict)], pause_s=0, disable_s=432_000)


def test_a_sender_that_was_gone_for_too_long_changes_nothing(
    tenant: Tenant, receiver: Receiver, platform: Platform
) -> None:
    tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 1)
    zombie = claim_one(platform)
    platform.execute("UPDATE webhook_deliveries SET lease_expires_at = now() - interval '1 s'")
    clean_up(platform)
    successor = claim_one(platform, "io/new/1")
    assert settle(platform, zombie, 500) == 0
    assert settle(platform, successor, 200) == 1
    assert settle(platform, zombie, 500) == 0
    assert platform.one("SELECT status, attempt FROM webhook_deliveries") == ("delivered", 2)
    assert platform.rows("SELECT attempt, error, status FROM webhook_attempts ORDER BY attempt") == [
        (1, "WORKER_LOST", None),
        (2, None, 200),
    ]


def test_a_node_that_starts_again_takes_back_what_it_held_and_nobody_elses(
    tenant: Tenant, receiver: Receiver, platform: Platform
) -> None:
    tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 1)
    claim_one(platform, "io@host/old/1")
    for other in ("other@host/new", "io@hos/new", "io/new"):
        assert outbox.node_born_again(platform.engine, other) == 0
    assert outbox.node_born_again(platform.engine, "io@host/old") == 0
    assert outbox.node_born_again(platform.engine, "io@host/new") == 1
    assert claim_one(platform).attempt == 2


def test_a_killed_sender_is_charged_to_nobody(tenant: Tenant, receiver: Receiver, platform: Platform) -> None:
    tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 1)
    for number in range(12):
        assert (claimed := claim_one(platform)).attempt == number + 1
        assert claimed.tries == 1
        platform.execute("UPDATE webhook_deliveries SET lease_expires_at = now() - interval '1 s'")
        clean_up(platform)
    assert platform.one("SELECT status, last_error FROM webhook_deliveries") == ("pending", "WORKER_LOST")


def answered(delivery: outbox.Claimed, status: int, retry_after_s: float | None = None) -> outbox.Done:
    answer = Answer(3, status, retry_after_s=retry_after_s)
    return outbox.Done(delivery, answer, judge(answer, delivery.event, tries=delivery.tries, schedule=(0, 5)))


def test_what_a_receiver_asks_for_holds_whatever_it_says_to_others_at_the_same_moment(
    tenant: Tenant, receiver: Receiver, platform: Platform
) -> None:
    endpoint = tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 4)
    first_, second, third, fourth = outbox.claim(platform.engine, worker="io/a/1", most=10)
    held = "SELECT held_until > now() + interval '50 min' FROM webhook_troubles"
    outbox.settle(platform.engine, [answered(first_, 429, 3600), answered(second, 200)], pause_s=0, disable_s=432_000)
    assert platform.one(held) == (True,)
    for status, delivery in ((500, third), (200, fourth)):
        outbox.settle(platform.engine, [answered(delivery, status)], pause_s=0, disable_s=432_000)
        assert platform.one(held) == (True,)
    assert not outbox.due(platform.engine)
    assert tenant.show(endpoint)["failures"] == 0


def test_a_receiver_that_took_one_of_many_calls_is_not_held_for_the_others(
    tenant: Tenant, receiver: Receiver, platform: Platform
) -> None:
    endpoint = tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, outbox.TRIP + 1)
    well, *ill = outbox.claim(platform.engine, worker="io/a/1", most=10)
    came = [*(answered(item, 500) for item in ill), answered(well, 200)]
    assert outbox.settle(platform.engine, came, pause_s=60, disable_s=432_000) == outbox.TRIP + 1
    assert platform.rows("SELECT failures FROM webhook_troubles") == []
    assert tenant.show(endpoint)["failures"] == 0


def test_gone_is_gone_whatever_it_says_to_others_at_the_same_moment(
    tenant: Tenant, receiver: Receiver, platform: Platform
) -> None:
    endpoint = tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 2)
    one, other = outbox.claim(platform.engine, worker="io/a/1", most=10)
    outbox.settle(platform.engine, [answered(one, 410), answered(other, 200)], pause_s=0, disable_s=432_000)
    assert tenant.show(endpoint)["disabled_code"] == "GONE"


def test_what_is_left_over_when_an_endpoint_is_switched_off_ends_at_once_and_is_no_failure_of_its(
    tenant: Tenant, receiver: Receiver, platform: Platform, courier: Courier
) -> None:
    endpoint = tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 30)
    claimed = outbox.claim(platform.engine, worker="io/a/1", most=100)
    tenant.http.patch(f"/api/v1/webhooks/{endpoint['id']}", json={"enabled": False})
    outbox.give_back(platform.engine, claimed)
    courier.drain()
    assert platform.rows("SELECT DISTINCT status, last_error FROM webhook_deliveries") == [
        ("failed", "ENDPOINT_DISABLED")
    ]
    assert receiver.calls == []
    assert tenant.show(endpoint)["failures"] == 0


def test_of_a_long_backlog_a_part_ends_when_its_endpoint_is_switched_off_and_the_rest_without_a_call(
    tenant: Tenant, receiver: Receiver, platform: Platform, courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "AT_ONCE", 10)
    mine, other = (tenant.endpoint(f"{receiver.url}/{name}", "job.canceled") for name in ("mine", "other"))
    owed(platform, tenant, 30)
    tenant.http.patch(f"/api/v1/webhooks/{mine['id']}", json={"enabled": False})
    of_each = "SELECT endpoint_id, status, count(*) FROM webhook_deliveries GROUP BY 1, 2 ORDER BY 2"
    mine_, other_ = (ids.parse_endpoint_id(item["id"]) for item in (mine, other))
    found = {(row[0], row[1]): row[2] for row in platform.rows(of_each)}
    assert found == {(mine_, "failed"): 10, (mine_, "pending"): 20, (other_, "pending"): 30}
    courier.drain()
    found = {(row[0], row[1]): row[2] for row in platform.rows(of_each)}
    assert found == {(mine_, "failed"): 30, (other_, "delivered"): 30}
    assert {call.path.rpartition("/")[2] for call in receiver.calls} == {"other"}


def test_what_is_said_at_an_address_that_an_endpoint_has_left_says_nothing_of_it(
    tenant: Tenant, receiver: Receiver, platform: Platform
) -> None:
    endpoint = tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 3)
    claimed = outbox.claim(platform.engine, worker="io/a/1", most=10)
    tenant.http.patch(f"/api/v1/webhooks/{endpoint['id']}", json={"url": receiver.url + "/new"})
    done = [answered(item, status, 3600) for item, status in zip(claimed, (410, 429, 500), strict=True)]
    outbox.settle(platform.engine, done, pause_s=0, disable_s=432_000)
    shown = tenant.show(endpoint)
    assert (shown["enabled"], shown["failures"]) == (True, 0)
    assert platform.one("SELECT count(*) FROM webhook_troubles") == (0,)


def test_what_is_said_while_an_endpoint_is_given_another_address_says_nothing_of_it(
    tenant: Tenant, receiver: Receiver, platform: Platform
) -> None:
    endpoint = tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 1)
    claimed = claim_one(platform)
    with ThreadPoolExecutor(1) as pool:
        with platform.admin.begin() as somebody:
            somebody.execute(text("UPDATE webhook_endpoints SET url = url || '/new'"))
            settled = pool.submit(settle, platform, claimed, 410)
            waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%webhook_endpoints%'"
            until(lambda: platform.rows(waits))
        assert settled.result(timeout=60) == 1
    assert tenant.show(endpoint)["enabled"] is True


@pytest.mark.parametrize("how", ["deleted", "switched off"])
def test_nothing_is_tried_again_for_an_endpoint_that_is_not_there_any_more(
    tenant: Tenant, receiver: Receiver, platform: Platform, courier: Courier, how: str
) -> None:
    endpoint = tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 3)
    one, other, third = outbox.claim(platform.engine, worker="io/a/1", most=10)
    outbox.settle(platform.engine, [answered(third, 429, 3600)], pause_s=0, disable_s=432_000)
    address = f"/api/v1/webhooks/{endpoint['id']}"
    assert tenant.http.delete(address) if how == "deleted" else tenant.http.patch(address, json={"enabled": False})
    outbox.settle(platform.engine, [answered(one, 429, 3600)], pause_s=0, disable_s=432_000)
    outbox.give_back(platform.engine, [other])
    courier.drain()
    assert platform.one("SELECT count(*) FROM webhook_deliveries WHERE status = 'failed'") == (3,)
    assert receiver.calls == []


def test_what_is_answered_while_postgres_is_away_is_settled_when_it_is_back(
    tenant: Tenant, new_receiver: NewReceiver, new_courier: Callable[[Settings], Courier], hasty: Settings,
    platform: Platform
) -> None:  # fmt: skip
    called, release = threading.Event(), threading.Event()

    def slow(call: http.server.BaseHTTPRequestHandler, number: int) -> None:
        called.set()
        release.wait(30)
        say(200)(call, number)

    receiver = new_receiver(slow)
    endpoint = tenant.endpoint(receiver.url)
    tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/test")
    courier = new_courier(changed(hasty, webhook_timeout_s=30.0))
    thread = threading.Thread(target=courier.drain)
    thread.start()
    assert called.wait(10)
    platform.engines.stop("postgres")
    try:
        release.set()
    finally:
        platform.engines.start("postgres")
    thread.join(30)
    assert not thread.is_alive()
    (log,) = tenant.deliveries()
    assert (log["status"], log["attempt"], len(receiver.calls)) == ("delivered", 1, 1)


def test_what_was_held_back_for_longer_than_its_schedule_ends_as_failed(
    tenant: Tenant, receiver: Receiver, platform: Platform
) -> None:
    tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, 2)
    platform.execute("UPDATE webhook_deliveries SET since = now() - interval '20 days' WHERE sequence % 2 = 0")
    clean_up(platform)
    assert platform.rows("SELECT status, last_error FROM webhook_deliveries ORDER BY status") == [
        ("failed", "NEVER_REACHED"),
        ("pending", None),
    ]


def test_delivered_ones_are_kept_as_long_as_jobs_and_failed_ones_for_thirty_days(
    tenant: Tenant, receiver: Receiver, platform: Platform
) -> None:
    tenant.endpoint(receiver.url, "job.canceled")
    platform.execute("UPDATE tenants SET tier = 'free' WHERE id = (SELECT tenant_id FROM webhook_endpoints)")
    owed(platform, tenant, 4)
    platform.execute(
        """UPDATE webhook_deliveries SET status = CASE WHEN n <= 2 THEN 'delivered' ELSE 'failed' END,
             finished_at = now() - make_interval(days => CASE n WHEN 1 THEN 6 WHEN 2 THEN 8 WHEN 3 THEN 29 ELSE 31 END)
           FROM (SELECT id, row_number() OVER () AS n FROM webhook_deliveries) AS numbered
           WHERE numbered.id = webhook_deliveries.id"""
    )
    clean_up(platform)
    left = platform.rows(
        "SELECT status, round(extract(day FROM now() - finished_at)) FROM webhook_deliveries ORDER BY 2"
    )
    assert left == [("delivered", 6), ("failed", 29)]


IO = ("celery", "-A", "workers.app", "worker", "-Q", "webhooks,control", "-P", "threads", "-n", "io@%h")


def test_killed_between_the_post_and_the_row_it_is_sent_again_under_the_same_id(
    tenant: Tenant, new_receiver: NewReceiver, platform: Platform, spawn: Spawn
) -> None:
    holding = threading.Event()

    def hold(call: object, _: int) -> None:
        holding.set()
        time.sleep(60)

    receiver = new_receiver(first(hold, 1, say(200)))
    endpoint = tenant.endpoint(receiver.url)
    tenant.job()
    io = spawn("io", *IO, "--concurrency", "4")
    work(platform)
    platform.hints.send(broker.WEBHOOKS)
    assert holding.wait(120)
    os.kill(io.pid, signal.SIGKILL)
    io.wait(120)
    spawn("io", *IO, "--concurrency", "4")
    once, again = receiver.got(2)
    assert (once.id, once.body) == (again.id, again.body)
    for got in (once, again):
        standardwebhooks.Webhook(endpoint["secret"]).verify(got.body, dict(got.headers))
    until(lambda: tenant.deliveries()[0]["status"] == "delivered")
    (log,) = tenant.deliveries()
    assert [(item["attempt"], item["error"]) for item in log["attempts"]] == [(1, "WORKER_LOST"), (2, None)]


def test_the_end_of_a_job_wakes_the_sender_and_where_nobody_says_so_the_sweep_does(
    tenant: Tenant, receiver: Receiver, platform: Platform, spawn: Spawn
) -> None:
    spawn("io", *IO, "--concurrency", "4")
    worker = spawn("worker", "celery", "-A", "workers.app", "worker", "-Q", "cpu", "-n", "cpu@%h", "--concurrency", "1")
    tenant.endpoint(receiver.url, "job.completed", "job.canceled")
    jobs = [tenant.job()]
    receiver.got(1, 60)
    # Both run by now, and nothing sweeps: only the worker's hint can wake the sender.
    jobs += [tenant.job() for _ in range(5)]
    receiver.got(6, 60)
    assert {item.event["data"]["job_id"] for item in receiver.calls} == set(jobs)
    worker.stop()
    tenant.job()
    platform.execute("UPDATE jobs SET status = 'canceled' WHERE finished_at IS NULL")
    spawn("beat", "celery", "-A", "workers.app", "beat", "--pidfile=")
    assert receiver.got(7, 60)[-1].event["type"] == "job.canceled"
