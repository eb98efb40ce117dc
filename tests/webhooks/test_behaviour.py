"""Receivers that do not simply say 200: what is tried again, what ends, and what the log says of it."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import itertools
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

import models
from core.settings import Settings
from tests import factories
from tests.changed import changed
from tests.conftest import Platform
from tests.webhooks.conftest import CALL_S, SCHEDULE, Behave, Receiver, Tenant, first, say, send_all
from webhooks.courier import Courier
from webhooks.verdict import MAX_RETRY_AFTER_S

Handler = http.server.BaseHTTPRequestHandler
NewReceiver = Callable[..., Receiver]
Deliver = Callable[[], None]
TRIES = len(SCHEDULE)


def silence(call: Handler, _: int) -> None:
    """Takes the request and never answers."""
    call.connection.settimeout(30)
    call.rfile.read(1)


def reset(call: Handler, _: int) -> None:
    call.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.connection.close()


def drip(what: bytes, first: bytes = b"") -> Behave:
    """A byte every 50 ms, without end: each single wait is a short one."""

    def behave(call: Handler, _: int) -> None:
        call.wfile.write(first)
        for byte in itertools.cycle(what):
            call.wfile.write(bytes([byte]))
            time.sleep(0.05)

    return behave


def flood(call: Handler, _: int) -> None:
    """100 MB."""
    call.send_response(200)
    call.send_header("Content-Length", str(100 * 2**20))
    call.end_headers()
    for _piece in range(100):
        call.wfile.write(b"x" * 2**20)


def send_test(tenant: Tenant, endpoint: dict[str, Any]) -> str:
    made = tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/test")
    assert made.status_code == 202, made.text
    return str(made.json["id"])


def sent(tenant: Tenant, receiver: Receiver, deliver: Deliver) -> dict[str, Any]:
    """The log of one delivery to a receiver, when it has ended."""
    endpoint = tenant.endpoint(receiver.url)
    delivery_id = send_test(tenant, endpoint)
    deliver()
    return dict(tenant.http.get(f"/api/v1/webhooks/deliveries/{delivery_id}").json)


def hints(call: Handler, number: int) -> None:
    """What a proxy may say before the answer."""
    call.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    say(200)(call, number)


@pytest.mark.parametrize(
    "behave",
    [say(200), say(201, b"thank you"), say(204), drip(b"x", b"HTTP/1.1 200 OK\r\n\r\n"), flood, hints],
    ids=["200", "201 with a body", "204", "200 and an endless drip", "200 and 100 MB", "103 and then 200"],
)
def test_any_2xx_is_delivered_at_once(
    tenant: Tenant, new_receiver: NewReceiver, deliver: Deliver, behave: Behave
) -> None:
    log = sent(tenant, new_receiver(behave), deliver)
    assert (log["status"], log["attempt"], len(log["attempts"])) == ("delivered", 1, 1)
    assert log["attempts"][0]["ms"] < 1000 * CALL_S / 2


@pytest.mark.parametrize(
    ("behave", "status", "error"),
    [
        (say(301, Location="http://127.0.0.1:1/internal"), 301, None),
        (say(307, Location="http://127.0.0.1:1/internal"), 307, None),
        (say(400, b"no such thing"), 400, None),
        (say(500), 500, None),
        (silence, None, "TIMED_OUT"),
        (reset, None, "CONNECTION_FAILED"),
        (drip(b"x"), None, "TIMED_OUT"),
        (drip(b"a: b\r\n", b"HTTP/1.1 200 OK\r\n"), None, "TIMED_OUT"),
        (lambda call, _: call.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), None, "BAD_ANSWER"),
    ],
    ids=["301", "307", "400", "500", "silence", "reset", "drip of a status line", "drip of headers", "not HTTP"],
)
def test_what_is_not_a_2xx_is_tried_again_and_each_call_is_in_the_log(
    tenant: Tenant, new_receiver: NewReceiver, new_courier: Callable[[Settings], Courier], hasty: Settings,
    platform: Platform, behave: Behave, status: int | None, error: str | None,
) -> None:  # fmt: skip
    patience_s = 6.0 if error == "TIMED_OUT" else CALL_S
    courier = new_courier(changed(hasty, webhook_timeout_s=patience_s))
    receiver = new_receiver(first(behave, 2, say(200)))
    log = sent(tenant, receiver, functools.partial(send_all, courier, platform))
    assert (log["status"], log["attempt"], log["last_status"], log["last_error"]) == ("delivered", 3, 200, None)
    assert [(item["attempt"], item["status"], item["error"]) for item in log["attempts"]] == [
        (1, status, error),
        (2, status, error),
        (3, 200, None),
    ]
    assert max(item["ms"] for item in log["attempts"]) < 1000 * CALL_S
    assert len({item.id for item in receiver.calls}) == 1
    assert len({item.body for item in receiver.calls}) == 1


def test_500_ten_times_is_a_failure_that_can_be_seen_and_asked_for_again(
    tenant: Tenant, new_receiver: NewReceiver, deliver: Deliver
) -> None:
    receiver = new_receiver(first(say(500, b"oops"), TRIES, say(200)))
    log = sent(tenant, receiver, deliver)
    assert (log["status"], log["attempt"], log["last_status"]) == ("failed", TRIES, 500)
    # What a service beside us says is none of a tenant's business.
    assert [item["response"] for item in log["attempts"]] == [None] * TRIES
    address = f"/api/v1/webhooks/deliveries/{log['id']}"
    assert tenant.http.post(f"{address}/redeliver").status_code == 202
    assert tenant.http.post(f"{address}/redeliver").status_code == 409
    deliver()
    again = tenant.http.get(address).json
    assert (again["status"], again["attempt"]) == ("delivered", TRIES + 1)
    assert {item.id for item in receiver.got(TRIES + 1)} == {log["id"]}


def test_500_nine_times_then_200_is_delivered_by_the_last_attempt(
    tenant: Tenant, new_receiver: NewReceiver, deliver: Deliver
) -> None:
    log = sent(tenant, new_receiver(first(say(500), TRIES - 1, say(200))), deliver)
    assert (log["status"], log["attempt"]) == ("delivered", TRIES)


def test_410_ends_it_switches_the_endpoint_off_and_tells_the_tenants_others(
    tenant: Tenant, new_receiver: NewReceiver, deliver: Deliver
) -> None:
    gone, other = new_receiver(say(410)), new_receiver()
    endpoint = tenant.endpoint(gone.url, "job.completed", "webhook.disabled")
    tenant.endpoint(other.url, "webhook.disabled")
    send_test(tenant, endpoint)
    deliver()
    shown = tenant.show(endpoint)
    assert (shown["enabled"], shown["disabled_code"]) == (False, "GONE")
    assert dt.datetime.fromisoformat(shown["disabled_at"]) > dt.datetime.fromisoformat(shown["created_at"])
    assert {item["event"] for item in tenant.deliveries() if item["endpoint_id"] == endpoint["id"]} == {"webhook.test"}
    assert len(gone.calls) == 1
    told = other.got(1)[0].event
    assert (told["type"], told["data"]["endpoint_id"], told["data"]["reason"]) == (
        "webhook.disabled",
        endpoint["id"],
        "GONE",
    )
    assert tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/test").status_code == 409


def test_retry_after_holds_the_whole_receiver(tenant: Tenant, new_receiver: NewReceiver, deliver: Deliver) -> None:
    receiver = new_receiver(first(say(429, Retry_After="2"), 1, say(200)))
    endpoint = tenant.endpoint(receiver.url)
    started = time.monotonic()
    send_test(tenant, endpoint)
    deliver()
    assert time.monotonic() - started > 1.5
    (log,) = tenant.deliveries()
    assert [item["status"] for item in log["attempts"]] == [429, 200]


def test_what_comes_while_a_receiver_is_held_waits_and_is_charged_no_attempt(
    tenant: Tenant, new_receiver: NewReceiver, deliver: Deliver, courier: Courier, platform: Platform
) -> None:
    receiver = new_receiver(first(say(503, Retry_After="600"), 1, say(200)))
    endpoint = tenant.endpoint(receiver.url)
    send_test(tenant, endpoint)
    courier.drain()
    send_test(tenant, endpoint)
    courier.drain()
    assert len(receiver.calls) == 1
    platform.execute("UPDATE webhook_troubles SET held_until = now()")
    platform.execute("UPDATE webhook_deliveries SET next_at = now()")
    deliver()
    assert [item["attempt"] for item in tenant.deliveries()] == [2, 1]


@pytest.mark.parametrize("wish", ["99999999999999", "Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-5", "٣"])
def test_no_retry_after_is_obeyed_for_longer_than_a_day_or_at_all_if_it_is_none(
    tenant: Tenant, new_receiver: NewReceiver, courier: Courier, platform: Platform, wish: str
) -> None:
    receiver = new_receiver(lambda call, _: call.wfile.write(
        f"HTTP/1.1 429 Slow\r\nRetry-After: {wish}\r\nContent-Length: 0\r\n\r\n".encode()
    ))  # fmt: skip
    send_test(tenant, tenant.endpoint(receiver.url))
    courier.drain()
    wait_s = platform.one("SELECT extract(epoch FROM max(next_at) - now())::float FROM webhook_deliveries")[0]
    assert float(str(wait_s)) <= (MAX_RETRY_AFTER_S if wish.startswith("9") else 1)


def test_a_name_that_does_not_resolve_is_tried_again(
    tenant: Tenant, deliver: Deliver, platform: Platform, receiver: Receiver
) -> None:
    endpoint = tenant.endpoint("https://no-such-name.invalid/hook")
    delivery_id = send_test(tenant, endpoint)
    deliver()
    log = tenant.http.get(f"/api/v1/webhooks/deliveries/{delivery_id}").json
    assert log["status"] == "failed"
    assert {item["error"] for item in log["attempts"]} == {"NAME_NOT_FOUND"}
    assert tenant.show(endpoint)["failures"] == TRIES


def test_an_endpoint_that_fails_for_too_long_is_switched_off_and_comes_back_with_what_it_missed(
    tenant: Tenant, new_receiver: NewReceiver, courier: Courier, deliver: Deliver, platform: Platform
) -> None:
    receiver = new_receiver(first(say(500), 21, say(200)))
    endpoint = tenant.endpoint(receiver.url)
    since = platform.one("SELECT now()")[0].isoformat()
    sent = [send_test(tenant, endpoint) for _ in range(3)]
    target, since_when = str(platform.one("SELECT id FROM webhook_endpoints")[0]), text("now() - interval '6 days'")
    factories.add(platform, models.WebhookTrouble, target=target, failures=20, failing_since=since_when)
    courier.drain()
    shown = tenant.show(endpoint)
    assert (shown["enabled"], shown["disabled_code"]) == (False, "FAILING")
    assert {item["status"] for item in tenant.deliveries()} == {"failed"}
    receiver.behave = say(200)
    address = f"/api/v1/webhooks/{endpoint['id']}"
    tenant.http.patch(address, json={"enabled": True})
    assert tenant.show(endpoint)["failures"] == 0
    assert tenant.http.post(f"{address}/redeliver", json={"since": since}).json["count"] == 3
    deliver()
    assert {item["id"] for item in tenant.deliveries(status="delivered")} == set(sent)


def test_progress_is_tried_once(
    tenant: Tenant, new_receiver: NewReceiver, deliver: Deliver, platform: Platform
) -> None:
    receiver = new_receiver(say(500))
    tenant.endpoint(receiver.url, "job.progress")
    tenant.job()
    platform.execute("UPDATE jobs SET status = 'processing', attempt = 1, lease_expires_at = now() + interval '1 min'")
    platform.execute("UPDATE jobs SET progress = 10")
    deliver()
    assert [(item["status"], item["attempt"]) for item in tenant.deliveries()] == [("failed", 1)]
