"""What Flower is shown goes out by itself, a moment's together."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from core import metrics
from core.board import MOST, Board, Event
from tests.engines import until


class Enough(SystemExit):
    """Ends what goes on for ever, without a word."""


def test_what_is_shown_is_sent_twice_a_second_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sent: list[Event] = []
    made = Board("redis://127.0.0.1:1/0")

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise Enough
        made.show([{"n": len(slept)}])

    monkeypatch.setattr("core.board.time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(made, "_send", sent.extend)
    made.show([{"n": 0}])
    with pytest.raises(Enough):
        made._always()
    assert slept == [0.5] * 4
    assert sent == [{"n": number} for number in range(4)]


def test_it_is_sent_by_a_thread_that_keeps_no_process_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made, found = Board("redis://127.0.0.1:1/0"), list[threading.Thread]()
    monkeypatch.setattr(made, "_always", lambda: found.append(threading.current_thread()))
    made.start()
    until(lambda: found)
    assert [(thread.name, thread.daemon) for thread in found] == [("board", True)]


def test_of_many_jobs_of_a_moment_as_many_are_shown_as_flower_can_read() -> None:
    made = Board("redis://127.0.0.1:1/0")
    before = metrics.UNSHOWN._value.get()
    assert [made.room(wanted) for wanted in (60, 60, 60)] == [60, 40, 0]
    assert metrics.UNSHOWN._value.get() - before == 20 + 60
    made.flush()
    assert made.room(MOST + 1) == MOST == 100
