"""What real workers say of themselves."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from uuid import UUID

import pytest

from core import tally
from jobs import presence
from local.child import Child
from tests.conftest import Platform, until
from tests.hands import awake

pytestmark = pytest.mark.usefixtures("quiet")
Spawn = Callable[..., Child]
WORKER = ("celery", "-A", "workers.app", "worker", "--concurrency", "1")


def workers(platform: Platform, pool: str = "cpu") -> int:
    return presence.pools(platform.engine)[pool].workers


def child_of(platform: Platform) -> int:
    name = platform.one("SELECT name FROM workers WHERE works AND pools = '{cpu}' ORDER BY started_at DESC LIMIT 1")[0]
    return int(str(name).rpartition("/")[2])


def test_a_worker_shows_itself_before_its_first_job_and_not_while_it_or_its_parent_is_frozen(
    platform: Platform, spawn: Spawn
) -> None:
    parent = spawn("worker", *WORKER, "-Q", "cpu", "-n", "a@%h")
    until(lambda: workers(platform) == 1)
    assert (workers(platform, "gpu"), workers(platform, "webhooks")) == (0, 0)
    for pid in (parent.pid, child_of(platform)):
        os.kill(pid, signal.SIGSTOP)
        until(lambda: workers(platform) == 0)
        assert presence.pools(platform.engine)["cpu"].seen_at is not None
        os.kill(pid, signal.SIGCONT)
        until(lambda: workers(platform) == 1)


def test_a_killed_child_is_forgotten_before_it_has_fallen_silent_and_another_takes_its_place(
    platform: Platform, spawn: Spawn
) -> None:
    spawn("worker", *WORKER, "-Q", "cpu", "-n", "a@%h")
    until(lambda: workers(platform) == 1)
    name = child_of(platform)
    os.kill(name, signal.SIGKILL)
    until(lambda: not platform.rows("SELECT FROM workers WHERE name LIKE :name", name=f"%/{name}"))
    until(lambda: workers(platform) == 1)


def test_the_io_worker_shows_its_pool_and_that_it_sweeps(platform: Platform, spawn: Spawn) -> None:
    spawn("io", *WORKER, "-Q", "webhooks,control", "-P", "threads", "-n", "io@%h")
    until(lambda: workers(platform, "webhooks") == 1)
    spawn(
        "beat", "celery", "-A", "workers.app", "beat", "-s", str(platform.engines.folder / "signs-beat"), "--pidfile="
    )
    until(lambda: workers(platform, "sweep") == 1)


def test_what_a_child_counted_is_told_of_when_it_is_gone(
    platform: Platform, spawn: Spawn, new_job: Callable[..., UUID]
) -> None:
    def completed() -> float:
        found = tally.told(platform.engine).get("infer_attempts", ())
        return sum(item.value for item in found if item.labels == {"model": "sentiment", "result": "completed"})

    platform.truncate("counts")
    worker = spawn("worker", *WORKER, "-Q", "cpu", "-n", "a@%h")
    [new_job() for _ in range(3)]
    awake(platform, lambda: completed() == 3)
    worker.kill()
    spawn("worker", *WORKER, "-Q", "cpu", "-n", "a@%h")
    new_job()
    awake(platform, lambda: completed() == 4)
