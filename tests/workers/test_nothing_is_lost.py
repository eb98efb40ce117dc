from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from uuid import UUID

import pytest
import redis

from local.child import Child
from tests.conftest import Platform, until

pytestmark = pytest.mark.usefixtures("quiet")
Spawn = Callable[..., Child]
NewJob = Callable[..., UUID]
CELERY = ("celery", "-A", "workers.app")
SLOW_INPUTS = [{"text": "not bad at all " * 30, "language": "en", "confidence_threshold": 0.0}] * 40


@pytest.fixture
def workers(platform: Platform, spawn: Spawn) -> Child:
    """A CPU worker, the sweeper and the clock."""
    worker = spawn("worker", *CELERY, "worker", "-Q", "cpu", "-n", "cpu@%h", "--concurrency", "1")
    spawn("io", *CELERY, "worker", "-Q", "control", "-P", "threads", "-n", "io@%h", "--concurrency", "2")
    spawn("beat", *CELERY, "beat", "--pidfile=")
    return worker


def counts(platform: Platform) -> dict[str, int]:
    with platform.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT status, count(*) FROM jobs GROUP BY status").all()
    return {row[0]: row[1] for row in rows}


def each_exactly_once(platform: Platform, jobs: list[UUID]) -> None:
    until(lambda: counts(platform).get("completed") == len(jobs))
    assert counts(platform) == {"completed": len(jobs)}
    for table in ("job_results", "usage"):
        assert platform.one(f"SELECT count(*), count(DISTINCT job_id) FROM {table}") == (len(jobs), len(jobs))
    assert platform.one(
        "SELECT count(*) FROM job_results r JOIN jobs j ON j.id = job_id WHERE r.attempt <> j.attempt"
    ) == (0,)


def test_jobs_survive_kill_9_of_the_worker_child_in_the_middle(
    platform: Platform, workers: Child, new_job: NewJob
) -> None:
    jobs = [new_job(inputs=SLOW_INPUTS) for _ in range(500)]
    until(lambda: counts(platform).get("completed", 0) > 20)
    # In one look: what was processing a moment ago may be done.
    [holder] = until(lambda: platform.rows("SELECT DISTINCT worker FROM jobs WHERE status = 'processing'"))
    os.kill(int(str(holder[0]).rpartition("/")[2]), signal.SIGKILL)
    each_exactly_once(platform, jobs)
    assert workers.alive
    (again,) = platform.one("SELECT count(*) FROM jobs WHERE attempt > 1")
    assert isinstance(again, int)
    assert again >= 1


def test_jobs_survive_a_flushed_redis(platform: Platform, workers: Child, new_job: NewJob) -> None:
    jobs = [new_job(inputs=SLOW_INPUTS) for _ in range(100)]
    until(lambda: counts(platform).get("completed", 0) > 0)
    redis.Redis.from_url(platform.settings.queue.redis_url).flushall()
    jobs += [new_job() for _ in range(100)]
    each_exactly_once(platform, jobs)


def test_without_redis_jobs_are_accepted_quickly_and_run_when_it_is_back(
    platform: Platform, workers: Child, new_job: NewJob
) -> None:
    first = new_job()
    until(lambda: counts(platform).get("completed") == 1)
    platform.engines.stop("valkey")
    try:
        started = time.monotonic()
        second = new_job()
        assert time.monotonic() - started < 5
    finally:
        platform.engines.start("valkey")
    each_exactly_once(platform, [first, second])
    assert workers.alive


def test_one_bad_job_fails_alone(platform: Platform, workers: Child, new_job: NewJob) -> None:
    good = [new_job() for _ in range(5)]
    bad = new_job(inputs={"not_text": 1})
    until(lambda: counts(platform) == {"completed": len(good), "failed": 1})
    assert platform.one("SELECT error ->> 'code' FROM jobs WHERE id = :id", id=bad) == ("MODEL_ERROR",)
