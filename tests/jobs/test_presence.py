"""What a worker's process says of itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jobs import presence
from jobs.presence import Presence
from tests.conftest import Platform

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
