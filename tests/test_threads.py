"""Threads that go on for ever, or for as long as somebody else likes, keep no process from its end."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from cli.load import tickets
from cli.load.drive import SENDERS, Load, Plan
from core import broker, outbound
from core.board import Board
from jobs import remembered
from jobs.follower import Follower, _Reader
from jobs.lease import Leases
from jobs.remembered import Remembered
from jobs.shadows.buffer import Buffer
from tests.conftest import Platform
from workers import node, scratch, signs

NOBODY: Any = SimpleNamespace(url="http://127.0.0.1:1", key="none")
NO_REDIS = "redis://127.0.0.1:1/0"


def look_up(_: Platform) -> None:
    with contextlib.suppress(TimeoutError):
        outbound.lookup("nobody.invalid", 443, time.monotonic())


def lose_redis(_: Platform) -> None:
    line = broker.Line(NO_REDIS)
    line.call(line.redis.ping, None)


def follow(platform: Platform) -> None:
    with Follower(platform.engine)._reading(_Reader(uuid.uuid4(), 0)):
        pass


def keep(_: Platform) -> None:
    Remembered(NOBODY, "nowhere/", 1).keep()


def take_back(_: Platform) -> None:
    node._aside(lambda *_: 0, SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from={}))))


def hold(platform: Platform) -> None:
    Leases(platform.engine, lease_s=60, heartbeat_s=1, grace_s=1, asked_to_stop=lambda: False).start()


def load(_: Platform) -> None:
    plan = Plan(seconds=0.0, warm_up_s=0.0, rate=1.0, mix={"inline": 1.0}, obey=False)
    Load(NOBODY, NOBODY, plan).run(lambda _: None)


#: What begins them, and their names and number.
BEGUN: list[tuple[Callable[[Platform], None], str, int]] = [
    (lambda _: Board(NO_REDIS).start(), "board", 1),
    (look_up, "lookup", 1),
    (lose_redis, "redis", 1),
    (follow, "follower", 1),
    (lambda platform: Buffer(platform.engine, platform.hints)._start(), "shadows", 1),
    (keep, "", 1),
    (hold, "leases", 1),
    (lambda _: signs._begin(lambda: True), "signs", 1),
    (take_back, "", 1),
    (lambda _: node._child_begins(), "", 1),
    (load, "", SENDERS + tickets.FOLLOWERS),
]


@pytest.mark.parametrize(("begin", "name", "count"), BEGUN)
def test_who_goes_on_for_ever_is_a_daemon(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, begin: Callable[[Platform], None], name: str, count: int
) -> None:
    begun: list[threading.Thread] = []

    def start(thread: threading.Thread) -> None:
        """None of them has anything to do here."""
        begun.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(scratch, "begin", lambda: None)
    monkeypatch.setattr(remembered, "EVERY_S", 0.0)
    monkeypatch.setenv(node.ALIVE_FILE, "/nowhere/alive")
    begin(platform)
    assert [thread.daemon for thread in begun] == [True] * count
    assert {name} == {"" if thread.name.startswith("Thread-") else thread.name for thread in begun}
