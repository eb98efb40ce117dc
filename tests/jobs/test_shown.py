"""What Flower shows of jobs."""

from __future__ import annotations

import ast
import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import redis

from core import errors, ids
from core.board import MOST, Board
from jobs import queries, rescue, settle
from jobs import shown as module
from jobs.drain import Drainer
from jobs.shown import Rest
from tests.conftest import Platform, until
from tests.hands import clean_up, lose, took
from tests.window import Window

pytestmark = pytest.mark.usefixtures("quiet")
Make = Callable[..., UUID]


def test_a_completed_job_is_a_task_by_its_id_model_state_and_runtime(
    platform: Platform, drainer: Drainer, new_job: Make, shown: Window
) -> None:
    job = new_job(inputs={"text": "SECRET words", "language": "en", "confidence_threshold": 0.0}, request_id="req_mine")
    before = time.time()
    drainer.drain("cpu", "wake")
    drainer.board.flush()
    task = shown.shows(job, "SUCCESS")
    assert (task.name, task.worker.hostname) == ("sentiment@1.0.0", "n")
    assert 0 < task.runtime < 60
    assert before - 60 < task.received <= task.started <= task.succeeded
    (tenant,) = platform.one("SELECT tenant_id FROM jobs WHERE id = :id", id=job)
    about = {"kind": "predict", "attempt": 1, "tenant_id": str(tenant), "request_id": "req_mine"}
    assert ast.literal_eval(task.kwargs) == about
    assert "SECRET" not in json.dumps(shown.said)


def test_of_more_jobs_than_flower_can_read_some_are_shown_to_their_end_and_the_others_not_at_all(
    drainer: Drainer, new_job: Make, shown: Window
) -> None:
    jobs = [new_job() for _ in range(MOST + 20)]
    drainer.drain("cpu", "wake")
    drainer.board.flush()
    shown.shows(jobs[0], "SUCCESS")
    until(lambda: sum(event["type"] == "task-succeeded" for event in shown.said) == MOST)
    assert {task.state for task in shown.state.tasks.values()} == {"SUCCESS"}
    assert len(shown.state.tasks) == MOST


def test_what_ends_in_no_workers_hands_is_told_by_the_sweep(
    platform: Platform, drainer: Drainer, new_job: Make, shown: Window
) -> None:
    rest = Rest(drainer.board, "io@here/i/1")

    def told() -> None:
        rest.tell(platform.engine)
        drainer.board.flush()

    lost = new_job()
    took(platform)
    lose(platform)
    told()
    task = shown.shows(lost, "RETRY")
    assert (task.exception, task.worker.hostname) == ("WORKER_LOST", "node")
    canceled, expired = new_job(), new_job(ttl_s=1)
    tenant = platform.one("SELECT tenant_id FROM jobs WHERE id = :id", id=canceled)[0]
    queries.cancel(platform.engine, tenant, canceled)
    until(lambda: clean_up(platform)["expire"])
    told()
    task = shown.shows(canceled, "REVOKED")
    assert (task.name, task.worker.hostname, task.received is not None) == ("sentiment@1.0.0", "io@here", True)
    assert shown.shows(expired, "REVOKED").exception == "EXPIRED"
    ends = {event["uuid"]: (event["expired"], event["terminated"]) for event in shown.said if "expired" in event}
    assert ends == {
        ids.job_id(lost): (False, True),
        ids.job_id(canceled): (False, False),
        ids.job_id(expired): (True, False),
    }
    said = len(shown.said)
    told()
    drainer.drain("cpu", "wake")
    drainer.board.flush()
    assert shown.shows(lost, "SUCCESS").exception is None
    assert not [event for event in shown.said[said:] if event["uuid"] != ids.job_id(lost)]


def test_of_what_happened_before_anybody_looked_the_last_minute_is_told(
    platform: Platform, drainer: Drainer, new_job: Make
) -> None:
    tenant = platform.one("SELECT tenant_id FROM jobs WHERE id = :id", id=new_job())[0]
    for _ in range(2):
        queries.cancel(platform.engine, tenant, new_job())
    # By a literal: this way two statements go together.
    ago = f"now() - interval '{module.FIRST_S + 5} s'"
    last = f"UPDATE job_events SET at = {ago} WHERE id = (SELECT max(id) FROM job_events)"
    platform.execute(f"SET LOCAL session_replication_role = replica; {last}")
    assert Rest(drainer.board, "io@here/i/1").tell(platform.engine) == 1


def test_an_attempt_that_failed_and_one_that_lost_its_last_worker_are_failures(
    platform: Platform, drainer: Drainer, new_job: Make, shown: Window
) -> None:
    lost, broken = new_job(), new_job(timeout_s=1, version="2.1.0", inputs=[HEAVY] * 1000)
    rest = Rest(drainer.board, "io@here/i/1")
    took(platform)
    platform.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE id = :id", id=lost)
    rescue.lease_over(platform.engine, max_losses=1)
    platform.execute("UPDATE jobs SET not_before = now() WHERE status = 'pending'")
    drainer.drain("cpu", "wake")
    rest.tell(platform.engine)
    drainer.board.flush()
    assert shown.shows(lost, "FAILURE").exception == "WORKER_LOST"
    task = shown.shows(broken, "FAILURE")
    assert (task.name, task.exception) == ("sentiment@2.1.0", "TIMED_OUT")


def test_what_happened_to_a_job_between_two_looks_is_told_by_the_last_of_it_and_of_no_other_job(
    platform: Platform, drainer: Drainer, new_job: Make, shown: Window
) -> None:
    broken = new_job()
    took(platform)
    lose(platform)
    (job,) = took(platform)
    settle.fail(platform.engine, job, errors.InvalidInput())
    platform.execute("UPDATE job_events SET at = at - interval '30 s' WHERE type = 'pending'")
    new_job()
    assert Rest(drainer.board, "io@here/i/1").tell(platform.engine) == 1
    drainer.board.flush()
    (failed_at,) = platform.one("SELECT extract(epoch FROM at)::float FROM job_events WHERE type = 'failed'")
    assert shown.shows(broken, "FAILURE").failed == failed_at
    # When it was taken was said by who took it.
    assert [event["type"] for event in shown.said if event["type"].startswith("task-")] == ["task-failed"]


def test_a_file_that_failed_is_a_failure_and_one_that_goes_on_is_not_shown_as_tried_again(
    platform: Platform, drainer: Drainer, new_job: Make, shown: Window
) -> None:
    failed, goes_on = (new_job(kind="bulk", inputs={"key": "uploads/1"}) for _ in range(2))
    for job in [*took(platform), *took(platform)]:
        if job.id == failed:
            settle.fail(platform.engine, job, errors.InvalidInput())
        else:
            settle.give_back(platform.engine, [job])
    Rest(drainer.board, "io@here/i/1").tell(platform.engine)
    drainer.board.flush()
    assert shown.shows(failed, "FAILURE").exception == "INVALID_INPUT"
    assert ids.job_id(goes_on) not in shown.state.tasks


def test_a_nul_that_a_client_hid_in_its_input_hides_no_failure(
    platform: Platform, drainer: Drainer, new_job: Make, shown: Window
) -> None:
    broken = new_job()
    (job,) = took(platform)
    settle.fail(platform.engine, job, errors.InvalidInput.field("row.\0", "is not a known field"))
    Rest(drainer.board, "io@here/i/1").tell(platform.engine)
    drainer.board.flush()
    assert shown.shows(broken, "FAILURE").exception == "INVALID_INPUT"


HEAVY = {"text": "not bad at all " * 60, "language": "en", "confidence_threshold": 0.0}


def test_without_redis_jobs_run_as_fast_and_nothing_piles_up(
    platform: Platform, drainer: Drainer, new_job: Make
) -> None:
    [new_job() for _ in range(20)]
    board = Board("redis://127.0.0.1:1/0")
    deaf = dataclasses.replace(drainer, board=board)
    assert deaf.drain("cpu", "wake") == 20
    began = time.monotonic()
    board.flush()
    board.flush()
    assert time.monotonic() - began < 3
    assert (board.room(MOST), not board._waiting) == (MOST, True)


def test_a_look_tells_of_so_many_that_ended_first_and_the_next_one_of_the_others(
    platform: Platform, drainer: Drainer, new_job: Make, shown: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 2)
    jobs = [new_job() for _ in range(3)]
    for job in reversed(jobs):
        queries.cancel(platform.engine, platform.one("SELECT tenant_id FROM jobs WHERE id = :id", id=job)[0], job)
    rest = Rest(drainer.board, "io@here/i/1")
    assert rest.tell(platform.engine) == 2
    drainer.board.flush()
    for job in jobs[1:]:
        shown.shows(job, "REVOKED")
    assert ids.job_id(jobs[0]) not in shown.state.tasks
    assert [rest.tell(platform.engine) for _ in range(2)] == [1, 0]


def test_many_events_are_one_message(platform: Platform, shown: Window) -> None:
    board = Board(platform.settings.queue.redis_url)
    named = {"name": "m@1", "hostname": "n", "timestamp": 1.0, "type": "task-started"}
    board.show([{"uuid": str(number), **named} for number in range(100)])
    valkey: Any = redis.Redis.from_url(platform.settings.queue.redis_url)
    with valkey.monitor() as monitor:
        board.flush()
        until(lambda: "99" in shown.state.tasks)
        valkey.set("the end", 1)
        seen = list(iter(lambda: str(monitor.next_command()["command"]), "SET the end 1"))
    assert len([command for command in seen if command.startswith("PUBLISH")]) == 1


def test_names_with_odd_characters_are_only_names(platform: Platform, shown: Window) -> None:
    board, odd = Board(platform.settings.queue.redis_url), "<img src=x onerror=alert(1)>@\u0000\u202e'\"\n" + "x" * 1000
    board.show([{"type": "task-received", "uuid": odd, "name": odd, "hostname": "n", "timestamp": 1.0, "kwargs": odd}])
    board.flush()
    until(lambda: odd in shown.state.tasks)
