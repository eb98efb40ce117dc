"""Runs whose time is over are ended by the one thread that watches all of them."""

from __future__ import annotations

import threading
import time

import pytest

from inference import interrupt
from inference.interrupt import Interrupt, Watch

#: Later than any test ends.
LATER_S = 3600.0


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(interrupt, "TICK_S", 0.01)
    return Watch()


def ended(button: Interrupt) -> bool:
    """Whether it is pressed, waiting for that as long as it takes on a busy machine."""
    until = time.monotonic() + 20
    while not button.is_set and time.monotonic() < until:
        time.sleep(0.005)
    return button.is_set


def test_one_run_after_the_other_is_ended_when_its_time_is_over_and_no_other(watch: Watch) -> None:
    with watch.until(time.monotonic() + LATER_S) as other:
        for _ in range(2):
            begins = time.monotonic()
            with watch.until(begins + 0.05) as late:
                assert not late.is_set or time.monotonic() >= begins + 0.05
                assert ended(late)
            assert time.monotonic() >= begins + 0.05
        assert not other.is_set


def test_a_run_whose_time_is_over_before_it_begins_is_ended_at_once(watch: Watch) -> None:
    with watch.until(time.monotonic()) as late:
        assert late.is_set


def test_what_has_ended_is_watched_no_more_and_what_it_raised_is_not_lost(watch: Watch) -> None:
    soon = time.monotonic() + 0.05
    with pytest.raises(KeyError), watch.until(soon) as left:
        raise KeyError
    with watch.until(soon) as late:
        assert ended(late)
    assert not left.is_set


def test_the_thread_begins_with_the_first_run_and_keeps_no_process_alive(watch: Watch) -> None:
    assert not watch.is_alive()
    with watch.until(time.monotonic() + LATER_S):
        assert [thread for thread in threading.enumerate() if thread is watch]
    assert watch.is_alive()
    assert watch.daemon
    assert watch.name == "watch"
