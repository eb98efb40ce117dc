from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.cached import Cached


def test_many_that_ask_at_once_cost_one() -> None:
    made: list[int] = []
    asked = threading.Barrier(8)

    def make() -> int:
        made.append(1)
        return len(made)

    cached = Cached(make, 60)

    def ask(_: int) -> int:
        asked.wait(10)
        return cached.get()

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

    cached = Cached(make, 0)
    assert cached.get() == 1
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cached.get)
        assert begun.wait(30)
        assert [cached.get() for _ in range(5)] == [1] * 5
        go_on.set()
        assert slow.result(30) == 2


def test_a_failure_is_not_kept() -> None:
    answers = iter([ZeroDivisionError(), 7])

    def make() -> int:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    cached = Cached(make, 60)
    with pytest.raises(ZeroDivisionError):
        cached.get()
    assert cached.get() == 7
