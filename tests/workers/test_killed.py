"""A worker's child ends by force, at any moment of its life: another takes its place, and its jobs run again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
import redis
from sqlalchemy import text

from local.child import Child
from tests.conftest import Platform, until
from tests.hands import awake

pytestmark = pytest.mark.usefixtures("quiet")
Spawn = Callable[..., Child]
NewJob = Callable[..., UUID]
#: Celery itself sees no death here, no lease runs out, and nobody sweeps.
WORKER = ("celery", "-A", "tests.workers.deaf", "worker", "-Q", "cpu", "-n", "a@%h")
RUNNING = "SELECT id, worker FROM jobs WHERE status = 'processing'"
LONG = {"COATCHECK_LEASE_S": "120", "COATCHECK_HEARTBEAT_S": "0.5"}
#: Some seconds on any machine, in many small runs.
HEAVY = [{"text": "not bad at all " * 60, "language": "en", "confidence_threshold": 0.0}] * 1000


def children(worker: Child) -> list[int]:
    """Its pool's processes, also those that are being born."""
    listed = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return [pid for pid in map(int, listed) if b"spawn_main" in command(pid)]


def command(pid: int) -> bytes:
    """Empty of one that has ended since it was listed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def another(worker: Child, *dead: int) -> int:
    """A child that is none of these, once there is one."""
    found: set[int] = set()

    def born() -> bool:
        found.update(set(children(worker)) - set(dead))
        return bool(found)

    until(born)
    return found.pop()


def holders(platform: Platform, count: int) -> dict[UUID, int]:
    """So many running jobs, each with the process that holds it."""
    until(lambda: len(platform.rows(RUNNING)) == count)
    return {row[0]: int(str(row[1]).rpartition("/")[2]) for row in platform.rows(RUNNING)}


def runs_again(platform: Platform, job: UUID) -> None:
    where = "SELECT status, attempt, lost_count FROM jobs WHERE id = :id"
    until(lambda: tuple(platform.one(where, id=job)) == ("processing", 2, 1))


def done(platform: Platform, job: UUID) -> None:
    awake(platform, lambda: platform.one("SELECT status FROM jobs WHERE id = :id", id=job) == ("completed",))


def heavy(new_job: NewJob) -> UUID:
    return new_job(model="sentiment", version="2.1.0", inputs=HEAVY)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, 0, 1])
def test_what_it_held_runs_again_however_it_ended(platform: Platform, spawn: Spawn, new_job: NewJob, by: int) -> None:
    worker = spawn("worker", *WORKER, "--concurrency", "1", **LONG, TEST_EXIT_CODE=str(by))
    job = heavy(new_job)
    os.kill(holders(platform, 1)[job], by if isinstance(by, signal.Signals) else signal.SIGUSR2)
    runs_again(platform, job)
    assert worker.alive


def test_both_of_two_at_once(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    worker = spawn("worker", *WORKER, "--concurrency", "2", **LONG)
    until(lambda: len(children(worker)) == 2)
    jobs = [heavy(new_job)]
    holders(platform, 1)
    jobs.append(heavy(new_job))
    awake(platform, lambda: len(platform.rows(RUNNING)) == 2)
    for pid in holders(platform, 2).values():
        os.kill(pid, signal.SIGKILL)
    for job in jobs:
        runs_again(platform, job)


def test_one_that_had_nothing_to_do(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    worker = spawn("worker", *WORKER, "--concurrency", "1", **LONG)
    done(platform, new_job())
    os.kill(another(worker), signal.SIGKILL)
    job = new_job()
    done(platform, job)
    assert platform.one("SELECT attempt, lost_count FROM jobs WHERE id = :id", id=job) == (1, 0)


def test_ten_in_a_row_while_they_are_being_born(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    worker = spawn("worker", *WORKER, "--concurrency", "1", **LONG)
    done(platform, new_job())
    dead: list[int] = []
    for _ in range(10):
        dead.append(another(worker, *dead))
        os.kill(dead[-1], signal.SIGKILL)
    done(platform, new_job())
    assert worker.alive


def test_one_that_had_read_its_wake_up_and_not_yet_said_so(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    spawn("worker", *WORKER, "--concurrency", "1", **LONG)
    done(platform, new_job())
    queue = redis.Redis.from_url(platform.settings.queue.redis_url)
    # What it is woken by at its start.
    until(lambda: not queue.exists("coatcheck:cpu", "coatcheck:hint:cpu"))
    job = heavy(new_job)
    pid = holders(platform, 1)[job]
    queue.set("coatcheck:hint:cpu", b"1", px=120_000)
    os.kill(pid, signal.SIGKILL)
    runs_again(platform, job)


def test_one_whose_last_statement_went_on_without_it(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    worker = spawn("worker", *WORKER, "--concurrency", "1", **LONG)
    job = heavy(new_job)
    pid = holders(platform, 1)[job]
    looked = """SELECT count(*) FROM pg_stat_activity
        WHERE application_name = :name AND query = 'COMMIT' AND query_start > :killed_at"""
    with platform.admin.begin() as connection:
        connection.execute(text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": job})
        (at,) = platform.one("SELECT clock_timestamp()")
        os.kill(pid, signal.SIGKILL)
        until(lambda: platform.one(looked, name=f"coatcheck-node {worker.pid}", killed_at=at) == (1,), 9)
    runs_again(platform, job)


def test_its_parent_loads_nothing_that_only_it_needs(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    worker = spawn("worker", *WORKER, "--concurrency", "1", **LONG)
    done(platform, new_job())
    assert "onnxruntime" in Path(f"/proc/{another(worker)}/maps").read_text()
    assert "onnxruntime" not in Path(f"/proc/{worker.pid}/maps").read_text()
