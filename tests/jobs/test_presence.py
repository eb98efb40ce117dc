"""What a worker's process says of itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sqlalchemy import exc, text

import models
from core import chores
from jobs import presence
from jobs.presence import Presence
from tests import factories
from tests.conftest import Platform
from tests.hands import sign_of_life

pytestmark = pytest.mark.usefixtures("quiet")


def test_each_sign_of_life_tells_the_newest_speed_and_time(platform: Platform) -> None:
    process = Presence("n/i/1", node="n/i", pools=["cpu"])
    process.tell(platform.engine)
    platform.execute("UPDATE workers SET seen_at = now() - interval '1 h'")
    with process.working(jobs=3):
        pass
    process.tell(platform.engine)
    assert platform.rows("SELECT name, jobs_per_s > 0, seen_at > now() - interval '30 min' FROM workers") == [
        ("n/i/1", True, True)
    ]


def test_a_speed_changes_by_half_with_the_newest_stretch_of_work_and_stays_where_there_was_none(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Presence("n/i/1", node="n/i", pools=["cpu"])
    clock = iter([0.0, 2.0, 10.0, 11.0])
    monkeypatch.setattr(presence, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    told = []
    for jobs in (4, 4, 0):
        if jobs:
            with process.working(jobs):
                pass
        process.tell(platform.engine)
        told += platform.rows("SELECT jobs_per_s FROM workers")
    assert told == [(2.0,), (3.0,), (3.0,)]


def test_a_node_forgets_its_own_processes_that_are_gone_and_nobody_elses(platform: Platform) -> None:
    for node, pid in (("n/i", 1), ("n/i", 2), ("m/i", 3)):
        Presence(f"{node}/{pid}", node=node, pools=["cpu"]).tell(platform.engine)
    presence.forget(platform.engine, "n/i", {"2"}.__contains__)
    assert platform.rows("SELECT name FROM workers ORDER BY name") == [("m/i/3",), ("n/i/2",)]


def test_a_pool_has_those_who_are_heard_of_and_whose_parents_are_and_was_seen_when_the_last_of_them_was(
    platform: Platform,
) -> None:
    sign_of_life(platform, "a/b/1", receives=True, silent_s=4)
    sign_of_life(platform, "a/b/2", works=True, silent_s=1)
    sign_of_life(platform, "a/b/3", works=True, silent_s=8)
    sign_of_life(platform, "a/b/4", works=True, silent_s=60)
    # A parent that is no more.
    sign_of_life(platform, "a/b/5", receives=True, silent_s=900)
    # A parent that has threads, one without a child, a child without a parent.
    sign_of_life(platform, "c/d/1", receives=True, works=True, silent_s=600, pool="gpu")
    sign_of_life(platform, "c/d/2", works=True, silent_s=900, pool="gpu")
    sign_of_life(platform, "e/f/1", receives=True, pool="explain")
    sign_of_life(platform, "g/h/1", works=True, pool="explain")
    found = presence.pools(platform.engine)
    told = {name: (pool.workers, pool.silent_s and round(pool.silent_s)) for name, pool in found.items()}
    assert told == {
        "cpu": (2, 4), "gpu": (0, 600), "explain": (0, None), "webhooks": (0, None), "sweep": (0, None),
    }  # fmt: skip
    for pool in found.values():
        seen_at, silent_s = pool.seen_at, pool.silent_s
        assert (seen_at is None) == (silent_s is None)
        if seen_at is not None and silent_s is not None:
            (now,) = platform.one("SELECT now()")
            assert abs((now - seen_at).total_seconds() - silent_s) < 5


@pytest.mark.parametrize(("late_s", "sweepers"), [(chores.LATE_S - 20, 1), (chores.LATE_S + 1, 0)])
def test_somebody_sweeps_while_any_chore_was_done_not_long_ago(
    platform: Platform, late_s: float, sweepers: int
) -> None:
    for ago_s in (late_s, 3600):
        factories.add(platform, models.Chore, succeeded_at=text(f"now() - interval '{ago_s} s'"))
    found = presence.pools(platform.engine)["sweep"]
    assert found.workers == sweepers
    assert late_s <= (found.silent_s or 0.0) < late_s + 15


class Enough(Exception):
    """Ends what goes on for ever."""


def test_a_sign_of_life_is_given_every_other_second_also_after_one_that_could_not_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[int] = []
    slept: list[float] = []

    def tell() -> None:
        told.append(len(slept))
        if len(told) == 1:
            raise exc.OperationalError("", {}, Exception("away"))
        if len(told) > 2:
            raise Enough

    monkeypatch.setattr(presence, "time", SimpleNamespace(sleep=slept.append))
    with pytest.raises(Enough):
        presence.always(tell)
    assert (told, slept) == ([0, 1, 2], [2.0, 2.0])
