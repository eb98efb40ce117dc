"""What a process keeps of callers who have gone: nothing that grows with how many there were."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import uuid
from collections.abc import Callable
from typing import Any

import prometheus_client
import pytest

from api import editions
from api.express.intake import Intake
from api.held_back import KEY, HeldBack
from api.v1.present import V1
from jobs.submit import NewJob
from serving.places import Places
from serving.turns import Turns
from tests import factories

#: So many come and go, one after the other or so many at once. If of each but a number and a place in a dictionary
#: were kept, that would be a MiB.
CALLERS, AT_ONCE = 12_000, 100
KIB = 1024

Come = Callable[[int], None]


def gauge() -> prometheus_client.Gauge:
    return prometheus_client.Gauge("taken", "Taken", registry=prometheus_client.CollectorRegistry())


def to_a_place() -> Come:
    places = Places("seats", 4, 0.5, gauge())
    return lambda _: places.take(uuid.uuid4())()


def to_a_turn() -> Come:
    turns = Turns(4, 0.5, gauge(), gauge())
    return lambda _: turns.take(uuid.uuid4())()


class _Stored:
    def submit_all(self, several: list[NewJob]) -> list[None]:
        return [None] * len(several)


def to_the_lane() -> Come:
    """Each with a job."""
    intake = Intake(_Stored())  # type: ignore[arg-type]
    waiting: list[NewJob] = []

    async def stored() -> None:
        assert set(await asyncio.gather(*map(intake.store, waiting))) == {None}

    def come(number: int) -> None:
        waiting.append(NewJob(factories.caller(uuid.uuid4()), "cpu", "m", "1.0.0", {}, {}, {}, "req", 60, 60, 1))
        if number % AT_ONCE == AT_ONCE - 1:
            asyncio.run(stored())
            waiting.clear()

    return come


def to_be_told_that_they_are_blocked() -> Come:
    """Each from an address of its own, with an answer of a KiB."""

    def refuse(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ[KEY] = True
        start("403 FORBIDDEN", [("X-Request-ID", f"req_{uuid.uuid4().hex}")])
        return [bytes(KIB)]

    held_back, edition = HeldBack(refuse, ()), V1()

    def come(number: int) -> None:
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        asked = {"REMOTE_ADDR": address, "PATH_INFO": "/api/v1/jobs", "REQUEST_METHOD": "GET", editions.KEY: edition}
        assert held_back(asked, lambda *_: None)

    return come


@pytest.mark.parametrize(
    ("callers", "most_kib"),
    # Of who is blocked a thousand are known, for a second.
    [(to_a_place, 500), (to_a_turn, 500), (to_the_lane, 500), (to_be_told_that_they_are_blocked, 5000)],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_of_callers_who_have_gone_nothing_is_kept(callers: Callable[[], Come], most_kib: int) -> None:
    come = callers()
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(CALLERS):
            come(number)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / KIB < most_kib
