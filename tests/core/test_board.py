"""What Flower is shown goes out by itself, a moment's together."""

from __future__ import annotations

import threading

import pytest

from core import board
from core.board import Board


class Enough(SystemExit):
    """Ends what goes on for ever, without a word."""


def test_what_is_shown_is_sent_twice_a_second_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise Enough

    made, sent = Board("redis://127.0.0.1:1/0"), []
    monkeypatch.setattr(board.time, "sleep", sleep)
    monkeypatch.setattr(made, "_send", sent.extend)
    monkeypatch.setattr(made, "flush", lambda: (Board.flush(made), made.show([{"n": len(slept)}])))
    made.show([{"n": 0}])
    with pytest.raises(Enough):
        made._always()
    assert slept == [0.5] * 4
    assert sent == [{"n": number} for number in range(3)]


def test_of_many_jobs_of_a_moment_as_many_are_shown_as_flower_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Board("redis://127.0.0.1:1/0")
    before = board.metrics.UNSHOWN._value.get()
    assert [made.room(wanted) for wanted in (60, 60, 60)] == [60, 40, 0]
    assert board.metrics.UNSHOWN._value.get() - before == 20 + 60
    made.flush()
    assert made.room(board.MOST + 1) == board.MOST == 100


def test_who_sends_it_keeps_no_process_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Board("redis://127.0.0.1:1/0")
    began, goes_on = threading.Event(), threading.Event()
    monkeypatch.setattr(made, "_always", lambda: (began.set(), goes_on.wait(30)))
    made.start()
    assert began.wait(30)
    (sender,) = (
        thread for thread in threading.enumerate() if thread.name == "board" and thread._target is made._always
    )  # type: ignore[attr-defined]
    assert sender.daemon
    goes_on.set()
