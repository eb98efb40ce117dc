"""A sender's process: what it has claimed and not begun goes back when it has to stop, or when it took too long."""

from __future__ import annotations

import email.utils
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from core import dial
from core.settings import Settings
from tests import hands
from tests.changed import changed
from tests.conftest import Platform, until
from tests.webhooks.conftest import Behave, Receiver, Tenant, owed, say
from webhooks import courier as couriers
from webhooks.courier import Courier
from webhooks.http_post import READ_BYTES, Poster
from webhooks.receivers import Receivers

NewReceiver = Callable[..., Receiver]
OWED = 6


@dataclass
class Busy:
    """A sender in the middle of a call that is not answered until it is told; the others wait behind it."""

    receiver: Receiver
    courier: Courier
    release: threading.Event
    stop: threading.Event
    thread: threading.Thread

    def ends(self) -> None:
        self.release.set()
        self.thread.join(120)
        assert not self.thread.is_alive()


@pytest.fixture
def busy(
    tenant: Tenant, new_receiver: NewReceiver, hasty: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Busy]:
    # Nothing goes back for having waited, but where a test says so.
    monkeypatch.setattr(couriers, "STALE_S", 600.0)
    called, release, stop = threading.Event(), threading.Event(), threading.Event()

    def slow(call: http.server.BaseHTTPRequestHandler, number: int) -> None:
        called.set()
        release.wait(120)
        say(200)(call, number)

    receiver = new_receiver(slow)
    tenant.endpoint(receiver.url, "job.canceled")
    owed(platform, tenant, OWED)
    patient = changed(hasty, webhook_timeout_s=120.0)
    courier = hands.courier(platform, patient, asked_to_stop=stop.is_set)
    thread = threading.Thread(target=courier.drain)
    thread.start()
    assert called.wait(120)
    yield Busy(receiver, courier, release, stop, thread)
    release.set()
    thread.join(120)


def given_back(platform: Platform) -> list[tuple[object, ...]]:
    """Those that wait, how often they were claimed, and what they were charged."""
    sql = "SELECT attempt > 0, attempt - tries_before FROM webhook_deliveries WHERE status = 'pending'"
    return [tuple(row) for row in platform.rows(sql)]


def test_a_sender_that_is_asked_to_stop_gives_back_what_it_has_not_begun(platform: Platform, busy: Busy) -> None:
    assert given_back(platform) == []
    busy.stop.set()
    until(lambda: given_back(platform) == [(True, 0)] * (OWED - 1))
    assert len(busy.receiver.calls) == 1
    # What it has begun it ends, and it begins nothing more.
    busy.ends()
    assert len(busy.receiver.calls) == 1
    assert platform.one("SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'") == (1,)
    assert given_back(platform) == [(True, 0)] * (OWED - 1)


def test_what_waited_in_a_process_for_too_long_is_given_back_and_not_charged(
    platform: Platform, busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "STALE_S", 0.05)
    until(lambda: platform.one("SELECT count(*) FROM webhook_deliveries WHERE tries_before > 0") == (OWED - 1,))
    assert platform.one("SELECT max(attempt - tries_before) FROM webhook_deliveries") == (1,)
    assert len(busy.receiver.calls) == 1
    monkeypatch.setattr(couriers, "STALE_S", 600.0)
    busy.ends()
    until(lambda: platform.one("SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'") == (OWED,))
    assert len({call.id for call in busy.receiver.calls}) == len(busy.receiver.calls) == OWED


def test_what_was_to_be_sent_while_there_was_no_thread_is_sent_all_at_once_when_there_are_some(
    tenant: Tenant, new_receiver: NewReceiver, platform: Platform, courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2)

    def wait(call: http.server.BaseHTTPRequestHandler, number: int) -> None:
        together.wait(60)
        say(200)(call, number)

    receiver = new_receiver(wait)
    for name in ("one", "two"):
        tenant.endpoint(f"{receiver.url}/{name}", "job.canceled")
    owed(platform, tenant, 1)
    real, tried = ThreadPoolExecutor._adjust_thread_count, []

    def late(pool: ThreadPoolExecutor) -> None:
        tried.append(pool)
        if len(tried) <= 2:
            raise RuntimeError("can't start new thread")
        real(pool)

    monkeypatch.setattr(ThreadPoolExecutor, "_adjust_thread_count", late)
    assert courier.drain() == 2
    assert len(receiver.calls) == 2


def test_who_is_woken_while_the_loop_runs_leaves_it_to_the_loop(platform: Platform, busy: Busy) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(busy.courier.drain).result(timeout=60) == 0
    assert len(busy.receiver.calls) == 1
    busy.ends()
    assert platform.one("SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'") == (OWED,)


def at(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def dated(wish: str, date: str | None) -> Behave:
    """A 429 with these headers."""

    def behave(call: http.server.BaseHTTPRequestHandler, _: int) -> None:
        said = "" if date is None else f"Date: {date}\r\n"
        call.wfile.write(f"HTTP/1.1 429 Slow\r\n{said}Retry-After: {wish}\r\nContent-Length: 0\r\n\r\n".encode())

    return behave


@pytest.mark.parametrize(
    ("wish", "date", "between"),
    [
        ("120", None, (120, 120)),
        (at(600), None, (0, 600)),
        # By the clock of who wrote it, however wrong that is.
        (at(86_400 + 120), at(86_400), (119, 121)),
        (at(-86_400 + 120), at(-86_400), (119, 121)),
        (at(-60), at(0), (0, 0)),
    ],
    ids=["seconds", "a date", "a clock that is ahead", "a clock that is behind", "in the past"],
)
def test_a_retry_after_that_is_a_date_is_obeyed(
    new_receiver: NewReceiver, hasty: Settings, wish: str, date: str | None, between: tuple[float, float]
) -> None:
    receiver = new_receiver(dated(wish, date))
    answer = Poster(Receivers(hasty), timeout_s=60.0).post(receiver.url, b"{}", {"webhook-id": "msg_1"})
    assert answer.status == 429
    assert answer.retry_after_s is not None
    assert between[0] <= answer.retry_after_s <= between[1]


def test_of_an_answer_that_stalls_its_beginning_is_enough(
    new_receiver: NewReceiver, hasty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "REST_S", 60.0)
    goes_on = threading.Event()

    def behave(call: http.server.BaseHTTPRequestHandler, _: int) -> None:
        call.send_response(200)
        call.send_header("Content-Length", str(2 * READ_BYTES))
        call.end_headers()
        call.wfile.write(b"x" * READ_BYTES)
        goes_on.wait(120)

    try:
        answer = Poster(Receivers(hasty), timeout_s=90.0).post(new_receiver(behave).url, b"{}", {"webhook-id": "msg_1"})
    finally:
        goes_on.set()
    assert answer.status == 200
    # Whoever listened to more of it would have waited for all of REST_S.
    assert answer.ms < 60_000
