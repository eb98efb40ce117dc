"""At the door of a network that is blocked: few of it are looked up at a time, and what that leads to."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from access import entrance
from core import errors

BLOCKED: Any = SimpleNamespace(refusal=lambda _: errors.Blocked("held back", retry_after_s=7))
FREE: Any = SimpleNamespace(refusal=lambda _: None)


class Slow:
    """Callers of whom each look-up takes as long as the test says."""

    def __init__(self) -> None:
        self.looked_up, self.release = threading.Semaphore(0), threading.Event()

    def verify(self, token: str, address: str) -> str:
        self.looked_up.release()
        assert self.release.wait(120)
        if token == "bad":
            raise errors.Unauthorized
        return f"{token} of {address}"


def test_of_a_blocked_network_two_are_looked_up_at_a_time_and_the_next_is_refused_at_once() -> None:
    callers: Any = Slow()

    def come(conduct: Any, token: str = "good") -> object:
        return entrance.verified(conduct, callers, token, "192.0.2.1")

    with ThreadPoolExecutor(4) as pool, contextlib.ExitStack() as whatever_happens:
        whatever_happens.callback(callers.release.set)
        two = [pool.submit(come, BLOCKED) for _ in range(2)]
        assert all(callers.looked_up.acquire(timeout=60) for _ in two)
        third = pool.submit(come, BLOCKED)
        with pytest.raises(errors.Blocked):
            third.result(timeout=60)
        # Of any other as many as there are.
        other = pool.submit(come, FREE)
        assert callers.looked_up.acquire(timeout=60)
        callers.release.set()
        assert [item.result(timeout=60) for item in (*two, other)] == ["good of 192.0.2.1"] * 3
    for _ in range(3):
        with pytest.raises(errors.Blocked) as refused:
            come(BLOCKED, "bad")
        assert refused.value.retry_after_s == 7
        assert come(BLOCKED) == "good of 192.0.2.1"
    with pytest.raises(errors.Unauthorized):
        come(FREE, "bad")


@pytest.mark.parametrize(
    ("weight", "error", "shown", "counted"),
    [
        (1.0, errors.InvalidInput("x"), "", [(1.0, "")]),
        (1.0, errors.Unauthorized(), "cck_0123456789ab_x", [(1.0, "cck_0123456789ab")]),
        (1.0, errors.Unauthorized(), "Bearer cck_0123456789abc", [(1.0, "cck_0123456789ab")]),
        (1.0, errors.Unauthorized(), "cck_0123456789a", [(1.0, "")]),
        (0.0, errors.InvalidInput("x"), "", []),
        (1.0, errors.Blocked("x"), "", []),
        (1.0, errors.TimedOut("x"), "", []),
    ],
)
def test_an_error_is_counted_where_the_caller_is_to_blame_and_with_the_id_of_a_bad_key(
    weight: float, error: errors.CoatcheckError, shown: str, counted: list[tuple[float, str]]
) -> None:
    told: list[tuple[float, str]] = []

    def count(_: str, __: object, weight: float, *, tried: str) -> int:
        told.append((weight, tried))
        return 8

    conduct: Any = SimpleNamespace(failed=count)
    assert entrance.failed(conduct, "key:a", None, weight, error, shown) == (8 if counted else 0)
    assert told == counted
