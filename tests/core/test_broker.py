"""Wake-ups: one unread to a pool, and none that is lost for longer than a moment."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import celery
import pytest
from kombu.exceptions import OperationalError

from core import broker, metrics
from core.broker import Hints, Line
from tests.conftest import Platform, until

#: Nobody works on it here.
POOL = "gpu"


@pytest.fixture
def line(platform: Platform) -> Line:
    found = Line(platform.settings.queue.redis_url)
    found.redis.delete(broker._flag(POOL))
    return found


@pytest.fixture
def hints(platform: Platform, line: Line) -> Hints:
    return Hints(platform.settings.queue.redis_url, line)


def test_a_second_hint_while_the_first_is_unread_adds_nothing_and_one_after_it_was_read_does(hints: Hints) -> None:
    sent = [hints.send(POOL), hints.send(POOL)]
    hints.clear(POOL)
    assert [*sent, hints.send(POOL)] == [True, False, True]


@pytest.mark.parametrize(("pool", "task"), [(POOL, "coatcheck.wake"), (broker.WEBHOOKS, "coatcheck.deliver")])
def test_a_hint_is_a_task_in_the_queue_of_its_pool_that_nobody_waits_for(
    hints: Hints, line: Line, pool: str, task: str
) -> None:
    hints.clear(pool)
    assert hints.send(pool)
    sent = line.redis.lpop(f"coatcheck:{pool}")
    headers = json.loads(str(sent, "utf-8"))["headers"]  # type: ignore[arg-type]
    told = {name: headers[name] for name in ("task", "argsrepr", "ignore_result", "expires")}
    # It never expires: the clock of who receives it may be another.
    assert told == {"task": task, "argsrepr": f"['{pool}']", "ignore_result": True, "expires": None}


def test_what_becomes_of_a_hint_and_each_call_that_redis_did_not_answer_is_counted(hints: Hints) -> None:
    def counted() -> list[float]:
        results = [metrics.HINTS.labels(result)._value.get() for result in ("sent", "joined", "failed")]
        return [*results, metrics.REDIS_FAILURES._value.get()]

    before = counted()
    hints.send(POOL), hints.send(POOL)
    Hints("redis://127.0.0.1:1/0", Line("redis://127.0.0.1:1/0")).send(POOL)
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 1, 1]


def test_a_hint_whose_worker_died_is_followed_by_another_after_two_seconds(hints: Hints, line: Line) -> None:
    assert hints.send(POOL)
    assert 0 < line.redis.pttl(broker._flag(POOL)) <= broker.HINT_TTL_MS
    assert until(lambda: hints.send(POOL))


def test_pools_are_woken_one_by_one(hints: Hints) -> None:
    hints.clear("cpu")
    assert (hints.send(POOL), hints.send("cpu")) == (True, True)


def silent() -> socket.socket:
    """One that takes connections, and says nothing."""
    return socket.create_server(("127.0.0.1", 0), backlog=64)


def full() -> socket.socket:
    """One that takes no connection any more, and refuses none."""
    return socket.create_server(("127.0.0.1", 0), backlog=0)


@pytest.fixture(params=[silent, full])
def nobody(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of who never answers; whoever still waits at the end is let go."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(request.param())
        for _ in range(3 if request.param is full else 0):
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                other.connect(server.getsockname())
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def ping(url: str) -> object:
    return Line(url).ping()


def publish(url: str) -> object:
    with pytest.raises(OperationalError):
        broker.producer(url).send_task(broker.WAKE, args=[POOL], queue=POOL, retry=False)
    return False


@pytest.mark.parametrize("ask", [ping, publish])
def test_a_redis_that_never_answers_holds_nobody_up(nobody: str, ask: Callable[[str], object]) -> None:
    said: list[object] = []
    asking = threading.Thread(target=lambda: said.append(ask(nobody)), daemon=True)
    asking.start()
    # Half a second, and a machine that is busy.
    asking.join(10)
    assert said == [False]


def test_a_wake_up_that_a_redis_does_not_take_is_tried_once() -> None:
    with silent() as server:
        publish(f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        server.setblocking(False)
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()


def test_who_only_wakes_others_does_not_become_the_app_of_its_process(platform: Platform) -> None:
    before = celery.current_app.main
    made = broker.producer(platform.settings.queue.redis_url)
    assert celery.current_app.main == before != made.main


def test_a_redis_that_is_away_is_left_alone_until_it_answers_again_and_nobody_waits_for_that(
    platform: Platform, line: Line
) -> None:
    away = Line("redis://127.0.0.1:1/0")
    asked = []

    def ask() -> str:
        asked.append(time.monotonic())
        return str(away.redis.ping())

    assert [away.call(ask, "away") for _ in range(3)] == ["away"] * 3
    assert len(asked) == 1
    # Who looks keeps no process from its end.
    assert {thread.daemon for thread in threading.enumerate() if thread.name == "redis"} == {True}
    away.redis = line.redis
    until(lambda: not away.away)
    assert len(asked) == 1
    assert away.call(ask, "away") == "True"


def test_where_there_may_be_no_thread_more_whoever_comes_next_asks_redis_again(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        if len(asked) < 3:
            raise ConnectionError
        return "there"

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more)
        assert [line.call(ask, "away") for _ in range(3)] == ["away", "away", "there"]
