from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from jobs import queries
from local.child import Child
from tests.conftest import Platform, until
from tests.hands import awake

pytestmark = pytest.mark.usefixtures("quiet")
Spawn = Callable[..., Child]
NewJob = Callable[..., UUID]
WORKER = ("celery", "-A", "workers.app", "worker", "-Q", "cpu", "--concurrency", "1")
#: Long enough that nothing in these tests can be the lease running out.
LONG = {"COATCHECK_LEASE_S": "120", "COATCHECK_HEARTBEAT_S": "0.5"}
#: Some seconds on any machine, in many small runs.
HEAVY = [{"text": "not bad at all " * 60, "language": "en", "confidence_threshold": 0.0}] * 1000


def processing(platform: Platform) -> tuple[UUID, int, str] | None:
    rows = platform.rows("SELECT id, attempt, worker FROM jobs WHERE status = 'processing'")
    return (rows[0][0], rows[0][1], str(rows[0][2])) if rows else None


def pid_of(platform: Platform) -> int:
    """The process that holds a job, once one does."""
    _, _, worker = awake(platform, lambda: processing(platform))
    return int(worker.rpartition("/")[2])


def row(platform: Platform, job: UUID, columns: str) -> tuple[Any, ...]:
    return tuple(platform.one(f"SELECT {columns} FROM jobs WHERE id = :id", id=job))


def ended(platform: Platform, jobs: list[UUID], timeout_s: float = 120) -> None:
    open_ = "SELECT count(*) FROM jobs WHERE finished_at IS NULL"
    awake(platform, lambda: platform.one(open_) == (0,), timeout_s)
    assert platform.one("SELECT count(*) FROM jobs WHERE status = 'completed'") == (len(jobs),)
    assert platform.one("SELECT count(*), count(DISTINCT job_id) FROM usage") == (len(jobs), len(jobs))


def test_a_killed_childs_jobs_run_again_long_before_their_lease_ends(
    platform: Platform, spawn: Spawn, new_job: NewJob
) -> None:
    worker = spawn("worker", *WORKER, "-n", "a@%h", **LONG)
    job = new_job(model="sentiment", version="2.1.0", inputs=HEAVY[:30])
    os.kill(pid_of(platform), signal.SIGKILL)
    awake(platform, lambda: row(platform, job, "attempt")[0] == 2)
    ended(platform, [job])
    assert worker.alive
    assert row(platform, job, "lost_count") == (1,)


def test_a_killed_workers_jobs_run_again_as_soon_as_it_is_back(
    platform: Platform, spawn: Spawn, new_job: NewJob
) -> None:
    first = spawn("worker", *WORKER, "-n", "a@%h", **LONG)
    job = new_job(model="sentiment", version="2.1.0", inputs=HEAVY[:30])
    pid_of(platform)
    first.kill()
    assert row(platform, job, "status") == ("processing",)
    spawn("worker", *WORKER, "-n", "a@%h", **LONG)
    awake(platform, lambda: row(platform, job, "attempt")[0] == 2)
    ended(platform, [job])


def test_a_worker_that_is_asked_to_stop_finishes_what_it_holds_within_its_grace(
    platform: Platform, spawn: Spawn, new_job: NewJob
) -> None:
    # On a busy machine 30 rows take half a minute.
    worker = spawn("worker", *WORKER, "-n", "a@%h", **LONG, COATCHECK_GRACE_S="100")
    job = new_job(model="sentiment", version="2.1.0", inputs=HEAVY[:30])
    later = [new_job(model="tumor", inputs={}) for _ in range(3)]
    pid_of(platform)
    worker.ask_to_stop()
    assert worker.wait(200) == 0
    assert row(platform, job, "status, attempt, lost_count") == ("completed", 1, 0)
    assert {row(platform, item, "status")[0] for item in later} == {"pending"}


def test_what_it_cannot_finish_in_time_it_gives_back_without_a_charge(
    platform: Platform, spawn: Spawn, new_job: NewJob
) -> None:
    worker = spawn("worker", *WORKER, "-n", "a@%h", **LONG, COATCHECK_GRACE_S="0.5")
    job = new_job(model="sentiment", version="2.1.0", inputs=HEAVY, max_attempts=1)
    pid_of(platform)
    worker.ask_to_stop()
    assert worker.wait(120) == 0
    assert row(platform, job, "status, attempt, lost_count, max_attempts") == ("pending", 1, 0, 2)


def test_a_running_job_is_canceled_in_the_middle(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    spawn("worker", *WORKER, "-n", "a@%h", **LONG)
    job = new_job(model="sentiment", version="2.1.0", inputs=HEAVY)
    pid_of(platform)
    until(lambda: row(platform, job, "progress > 0")[0])
    tenant = UUID(str(row(platform, job, "tenant_id")[0]))
    assert queries.cancel(platform.engine, tenant, job).cancel_requested
    until(lambda: row(platform, job, "status")[0] == "canceled")
    assert row(platform, job, "progress < 100") == (True,)
    assert platform.one("SELECT count(*) FROM usage") == (0,)


def test_a_running_job_is_ended_when_its_time_is_over(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    spawn("worker", *WORKER, "-n", "a@%h", **LONG)
    job = new_job(model="sentiment", version="2.1.0", inputs=HEAVY, timeout_s=1)
    until(lambda: row(platform, job, "status")[0] == "failed")
    assert row(platform, job, "error ->> 'code', attempt") == ("TIMED_OUT", 1)


def test_a_zombie_wakes_up_and_changes_nothing(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    short = {"COATCHECK_LEASE_S": "2", "COATCHECK_HEARTBEAT_S": "0.5"}
    spawn("zombie", *WORKER, "-n", "a@%h", **short)
    job = new_job(model="sentiment", version="2.1.0", inputs=HEAVY[:100])
    zombie = pid_of(platform)
    os.kill(zombie, signal.SIGSTOP)
    try:
        successor = spawn("worker", *WORKER, "-n", "b@%h", **LONG)
        spawn("io", "celery", "-A", "workers.app", "worker", "-Q", "control", "-P", "threads", "-n", "io@%h")
        spawn("beat", "celery", "-A", "workers.app", "beat", "--pidfile=")
        ended(platform, [job])
    finally:
        os.kill(zombie, signal.SIGCONT)
    successor.stop()
    # Only the zombie is left to do this one, so it is back, and done with whatever it still wanted to write.
    after = new_job()
    ended(platform, [job, after])
    assert row(platform, job, "attempt, lost_count") == (2, 1)
    assert platform.one("SELECT attempt FROM job_results WHERE job_id = :id", id=job) == (2,)


@pytest.mark.parametrize("concurrency", ["1", "2"])
def test_ten_restarts_of_redis_under_a_busy_worker_end_no_worker(
    platform: Platform, spawn: Spawn, new_job: NewJob, concurrency: str
) -> None:
    worker = spawn("worker", *WORKER[:-1], concurrency, "-n", "a@%h", **LONG)
    io = spawn("io", "celery", "-A", "workers.app", "worker", "-Q", "control", "-P", "threads", "-n", "io@%h")
    spawn("beat", "celery", "-A", "workers.app", "beat", "--pidfile=")
    jobs = []
    for _ in range(10):
        jobs.append(new_job(model="sentiment", version="2.1.0", inputs=HEAVY[:10]))
        until(lambda: processing(platform))
        platform.engines.stop("valkey")
        jobs.append(new_job())
        platform.engines.start("valkey")
    # They may all be claimed by one child, which runs a hundred rows then.
    ended(platform, jobs, 300)
    assert worker.alive
    assert io.alive


#: libfaketime hangs Python's timed waits; this shifts the wall clock alone.
CLOCK_C = """
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *t) {
  int failed = syscall(SYS_clock_gettime, clock, t);
  if (!failed && clock == CLOCK_REALTIME) t->tv_sec += atol(getenv("CLOCK_OFFSET_S"));
  return failed;
}
int gettimeofday(struct timeval *v, void *zone) {
  struct timespec t;
  int failed = clock_gettime(CLOCK_REALTIME, &t);
  v->tv_sec = t.tv_sec, v->tv_usec = t.tv_nsec / 1000;
  return failed;
}
time_t time(time_t *p) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  if (p) *p = t.tv_sec;
  return t.tv_sec;
}
"""


@pytest.fixture(scope="module")
def wrong_clock(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that shifts the wall clock of whoever loads it first."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=CLOCK_C.encode(), check=True)
    return str(library)


@pytest.mark.parametrize("offset_s", ["3600", "-3600"])
def test_a_worker_whose_clock_is_wrong_works_like_any_other(
    platform: Platform, spawn: Spawn, new_job: NewJob, wrong_clock: str, offset_s: str
) -> None:
    # S3 refuses signatures with a wrong time: such a worker runs what it has a copy of, and leaves the rest to others.
    for version in ("1.0.0", "2.1.0"):
        platform.shelf.open(platform.catalog.resolve("sentiment", version))
    wrong = {"LD_PRELOAD": wrong_clock, "CLOCK_OFFSET_S": offset_s}
    # A minute is less than it is wrong by, and longer than a busy machine keeps a heartbeat waiting.
    leased = {**wrong, "COATCHECK_LEASE_S": "60", "COATCHECK_HEARTBEAT_S": "0.5"}
    spawn("worker", *WORKER, "-n", "a@%h", **leased)
    spawn("io", "celery", "-A", "workers.app", "worker", "-Q", "control", "-P", "threads", "-n", "io@%h", **leased)
    spawn("beat", "celery", "-A", "workers.app", "beat", "--pidfile=")
    jobs = [new_job(model="sentiment", version="2.1.0", inputs=HEAVY[:100]), new_job(), new_job(ttl_s=600)]
    ended(platform, jobs)
    assert platform.rows("SELECT id FROM jobs WHERE attempt > 1 OR finished_at > now() + interval '1 min'") == []


def test_without_the_object_store_jobs_wait_for_their_model_and_lose_no_attempt(
    platform: Platform, spawn: Spawn, new_job: NewJob, tmp_path: Path
) -> None:
    platform.engines.stop("seaweedfs")
    try:
        spawn("worker", *WORKER, "-n", "a@%h", **LONG, COATCHECK_MODEL_CACHE=str(tmp_path))
        spawn("io", "celery", "-A", "workers.app", "worker", "-Q", "control", "-P", "threads", "-n", "io@%h")
        spawn("beat", "celery", "-A", "workers.app", "beat", "--pidfile=")
        job = new_job(max_attempts=1)
        until(lambda: row(platform, job, "attempt")[0] in (2, 3))
        assert platform.one("SELECT error ->> 'code' FROM job_events WHERE error IS NOT NULL LIMIT 1") == (
            "MODEL_UNAVAILABLE",
        )
    finally:
        platform.engines.start("seaweedfs")
    ended(platform, [job])


def test_a_job_that_kills_every_worker_fails_alone(platform: Platform, spawn: Spawn, new_job: NewJob) -> None:
    worker = spawn("worker", *WORKER, "-n", "a@%h", **LONG)
    poison = new_job(model="sentiment", version="2.1.0", inputs=HEAVY[:200])
    neighbours = [new_job(model="sentiment", version="2.1.0", inputs=HEAVY[:1]) for _ in range(5)]

    def holds(attempt: int) -> bool:
        return row(platform, poison, "status, attempt") == ("processing", attempt)

    for attempt in (1, 2, 3):
        awake(platform, functools.partial(holds, attempt))
        os.kill(int(str(row(platform, poison, "worker")[0]).rpartition("/")[2]), signal.SIGKILL)
        until(lambda: row(platform, poison, "status")[0] != "processing")
        platform.execute("UPDATE jobs SET not_before = now() WHERE status = 'pending'")
    awake(platform, lambda: platform.one("SELECT count(*) FROM jobs WHERE finished_at IS NULL") == (0,))
    assert row(platform, poison, "status, error ->> 'code', lost_count") == ("failed", "WORKER_LOST", 3)
    assert {row(platform, job, "status")[0] for job in neighbours} == {"completed"}
    assert platform.one("SELECT max(lost_count) FROM jobs WHERE id <> :id", id=poison)[0] in (0, 1)
    assert worker.alive


def test_a_frozen_redis_holds_up_no_submission(platform: Platform, new_job: NewJob) -> None:
    new_job()
    pid = platform.engines.running["valkey"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        for _ in range(20):
            new_job()
        assert time.monotonic() - started < 15
    finally:
        os.kill(pid, signal.SIGCONT)
    assert platform.one("SELECT count(*) FROM jobs") == (21,)
