from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from core import cached, errors
from core.cached import Cached
from tests.conftest import until


def test_many_that_ask_at_once_cost_one() -> None:
    made: list[int] = []
    asked = threading.Barrier(8)

    def make() -> int:
        made.append(1)
        return len(made)

    kept = Cached(make, 60)

    def ask(_: int) -> int:
        asked.wait(10)
        return kept.get()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [1] * 8


def test_while_one_makes_it_anew_the_others_get_the_last_one() -> None:
    begun, go_on = threading.Event(), threading.Event()
    made: list[int] = []

    def make() -> int:
        made.append(1)
        if len(made) > 1:
            begun.set()
            assert go_on.wait(30)
        return len(made)

    kept = Cached(make, 0)
    assert kept.get() == 1
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(kept.get)
        assert begun.wait(30)
        assert [kept.get() for _ in range(5)] == [1] * 5
        go_on.set()
        assert slow.result(30) == 2


def test_a_failure_is_not_kept() -> None:
    answers: Iterator[Exception | int] = iter([ZeroDivisionError(), 7])

    def make() -> int:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    kept = Cached(make, 60)
    with pytest.raises(ZeroDivisionError):
        kept.get()
    assert kept.get() == 7


def test_what_takes_too_long_is_no_answer_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "STALE_S", 0.3)
    begun, release, calls = threading.Event(), threading.Event(), iter(range(10_000))

    def make() -> int:
        number = next(calls)
        if number == 1:
            begun.set()
            release.wait(600)
        return number

    kept = cached.Cached(make, 0.05)
    assert kept.get() == 0
    time.sleep(0.1)
    maker = threading.Thread(target=kept.get)
    maker.start()
    assert begun.wait(300)

    def refused() -> bool:
        try:
            kept.get()
        except errors.Unavailable:
            return True
        return False

    until(refused)
    release.set()
    maker.join(300)
    until(lambda: not refused())
