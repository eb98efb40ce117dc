"""Answers that are kept: as many as fit, for as long as they are good, each made once."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from core import metrics
from inference.output import Embedding, Label, Said, Tensors
from serving.cache import BESIDE, Cache, Coming
from tests.engines import until

SAID = Label("a", 0.1 + 0.2, {"a": 0.1 + 0.2, "b": 5e-324})
ROOM = 1 << 20


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def text(length: int) -> Embedding:
    return Embedding([0.5] * length)


@pytest.mark.parametrize(
    "said",
    [SAID, Tensors({"t": {"dtype": "float", "shape": [2], "data": [float("inf"), -0.0]}}), text(3)],
    ids=["label", "tensors", "embedding"],
)
def test_an_answer_is_kept_to_the_last_digit(said: Said) -> None:
    cache = Cache(ROOM, 60)
    cache.put(b"k", said)
    assert repr(cache.get(b"k")) == repr(said)
    assert cache.get(b"other") is None


def test_what_is_taken_stays_within_the_bound_and_what_was_asked_for_last_stays() -> None:
    cache, before = Cache(20_000, 60), metrics.CACHE_EVICTIONS._value.get()
    for number in range(1000):
        cache.put(b"%d" % number, text(10))
        assert cache.get(b"0") is not None
        assert cache.size <= 20_000
    assert cache.get(b"999") is not None
    assert cache.get(b"1") is None
    assert metrics.CACHE_BYTES._value.get() == cache.size > 19_000
    assert metrics.CACHE_EVICTIONS._value.get() - before > 900


def test_an_answer_larger_than_the_bound_puts_nothing_out() -> None:
    cache = Cache(2000, 60)
    cache.put(b"small", SAID)
    cache.put(b"large", text(1000))
    assert (cache.get(b"small"), cache.get(b"large")) == (SAID, None)


def test_an_answer_that_is_kept_again_takes_its_room_once() -> None:
    cache = Cache(ROOM, 60)
    sizes = []
    for _ in range(3):
        cache.put(b"k", SAID)
        sizes.append(cache.size)
    assert len(set(sizes)) == 1
    assert sizes[0] > BESIDE


def test_an_answer_is_good_for_so_long_and_no_longer_by_being_asked_for() -> None:
    clock = Clock()
    cache = Cache(ROOM, 60, clock)
    cache.put(b"k", SAID)
    clock.now += 59.9
    assert cache.get(b"k") == SAID
    clock.now += 0.1
    assert (cache.get(b"k"), cache.size) == (None, 0)


def test_what_is_to_be_forgotten_is_only_what_is_still_kept() -> None:
    cache, coming = Cache(ROOM, 60), Coming(uuid.uuid4())
    assert cache.once(b"k", lambda: coming) == (coming, False)
    cache.forget(b"k", Coming(uuid.uuid4()))
    assert cache.once(b"k", lambda: Coming(uuid.uuid4())) == (coming, True)
    cache.forget(b"k", coming)
    cache.forget(b"k", coming)
    assert cache.size == 0


def test_what_many_ask_for_at_once_is_made_once() -> None:
    cache, made, others = Cache(ROOM, 60), [0], threading.Event()

    def make() -> Said:
        made[0] += 1
        if made[0] > 1:
            others.set()
        # So long another may begin one of its own, which none does.
        others.wait(0.2)
        return SAID

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cache.once(b"k", make), range(8)))
    assert made == [1]
    assert sorted(hit for _, hit in found) == [False] + [True] * 7
    assert [said for said, _ in found] == [SAID] * 8


def waited_for(cache: Cache) -> None:
    """Until somebody waits for what another makes."""
    until(lambda: any(cache._coming.values()))


def test_what_is_too_large_to_be_kept_is_given_to_all_who_wait_for_it() -> None:
    cache, begun, go = Cache(10, 60), threading.Event(), threading.Event()

    def make() -> Said:
        begun.set()
        assert go.wait(10)
        return SAID

    def never() -> Said:
        raise AssertionError

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.once, b"k", make)
        assert begun.wait(10)
        second = pool.submit(cache.once, b"k", never)
        waited_for(cache)
        go.set()
        assert (first.result(), second.result()) == ((SAID, False), (SAID, True))
    assert (cache.size, cache._coming) == (0, {})


def test_a_failure_is_its_own_askers_and_whoever_waited_makes_another() -> None:
    cache, begun, go = Cache(ROOM, 60), threading.Event(), threading.Event()

    def fail() -> Said:
        begun.set()
        assert go.wait(10)
        raise ValueError("once")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.once, b"k", fail)
        assert begun.wait(10)
        second = pool.submit(cache.once, b"k", lambda: SAID)
        waited_for(cache)
        go.set()
        with pytest.raises(ValueError, match="once"):
            first.result()
        assert second.result() == (SAID, False)
    assert (cache.once(b"k", fail), cache._coming) == ((SAID, True), {})
