from __future__ import annotations

import dataclasses
from collections.abc import Callable
from uuid import UUID

import pytest
import sqlalchemy
import sqlalchemy.exc

import models
from core import errors
from jobs import queries, settle
from jobs.job import Claimed
from jobs.lease import Leases
from tests import factories
from tests.conftest import Platform
from tests.hands import SAID, clean_up, complete, lose, status_of, take, took

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]


def leases_of(platform: Platform) -> Leases:
    return Leases(
        platform.engine,
        lease_s=60,
        heartbeat_s=1,
        grace_s=1,
        asked_to_stop=lambda: False,
    )


def _in_this_order(platform: Platform, jobs: list[UUID]) -> None:
    """A place is told when it is asked for, and written a moment later: of jobs of one moment any may be the first."""
    for ahead_s, job in enumerate(reversed(jobs), 1):
        platform.execute(
            "UPDATE jobs SET fair_at = now() - make_interval(secs => :s) WHERE id = :id", s=ahead_s, id=job
        )


def test_a_claim_takes_a_whole_batch_of_one_lane_in_order(platform: Platform, new_job: NewJob) -> None:
    first = [new_job() for _ in range(3)]
    other = new_job(model="tumor")
    low = new_job(priority="low")
    _in_this_order(platform, first)
    batch = take(platform)
    assert batch is not None
    assert [job.id for job in batch.jobs] == [*first, low]
    rest = take(platform)
    assert rest is not None
    assert [job.id for job in rest.jobs] == [other]
    assert take(platform) is None


def test_high_priority_goes_first(platform: Platform, new_job: NewJob) -> None:
    new_job(priority="low")
    urgent = new_job(priority="high")
    batch = take(platform)
    assert batch is not None
    assert batch.jobs[0].id == urgent


def test_a_claim_never_takes_more_than_the_models_max_batch(platform: Platform, new_job: NewJob) -> None:
    most = platform.one("SELECT max_batch FROM model_versions WHERE model = 'sentiment' AND version = '1.0.0'")[0]
    assert isinstance(most, int)
    for _ in range(most + 1):
        new_job()
    batch = take(platform)
    assert batch is not None
    assert (len(batch.jobs), batch.full) == (most, True)


def test_two_claims_never_share_a_job(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    assert take(platform) is not None
    assert take(platform) is None
    assert status_of(platform, job) == "processing"


def test_a_claim_takes_jobs_of_its_own_pool_alone(platform: Platform, new_job: NewJob) -> None:
    theirs, ours = new_job(pool="gpu"), new_job()
    assert [job.id for job in took(platform)] == [ours]
    assert take(platform) is None
    assert [job.id for job in took(platform, pool="gpu")] == [theirs]


def test_of_two_jobs_at_one_place_the_first_comes_first(platform: Platform, new_job: NewJob) -> None:
    in_order = sorted([new_job(), new_job(model="tumor")])
    platform.execute("UPDATE jobs SET fair_at = now()")
    assert [[job.id for job in took(platform)] for _ in in_order] == [[job] for job in in_order]


@pytest.mark.parametrize("others", [["tumor"], ["sentiment", "tumor"]], ids=["its lane", "its neighbours"])
def test_a_job_that_is_being_claimed_hides_no_other(platform: Platform, new_job: NewJob, others: list[str]) -> None:
    first = new_job()
    platform.execute("UPDATE jobs SET fair_at = now() - interval '1 min'")
    found = [new_job(model=model) for model in others]
    _in_this_order(platform, found)
    with platform.engine.begin() as elsewhere:
        elsewhere.execute(sqlalchemy.text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": first})
        assert [took(platform)[0].id for _ in found] == found


def test_a_claim_tells_whether_anybody_is_to_hear_of_a_job(platform: Platform, new_job: NewJob) -> None:
    listener = factories.tenant(platform)
    factories.add(platform, models.WebhookEndpoint, tenant_id=listener)
    wanted = [
        factories.job(platform, listener)["id"],
        factories.job(platform, factories.tenant(platform), webhook_url="https://receiver.example/hook")["id"],
    ]
    new_job()
    assert [job.id for job in sorted(took(platform), key=lambda job: job.id) if job.notifies] == sorted(wanted)


def test_completing_stores_result_usage_and_status_together_and_only_once(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    batch = take(platform)
    assert batch is not None
    done = [settle.Done(batch.jobs[0], SAID, units=2)]
    assert settle.complete(platform.engine, done) == {job}
    assert settle.complete(platform.engine, done) == set()
    assert platform.one("SELECT count(*), sum(units) FROM usage WHERE job_id = :id", id=job) == (1, 2)
    assert platform.one("SELECT attempt FROM job_results WHERE job_id = :id", id=job) == (1,)


def test_a_zombies_write_changes_nothing_once_somebody_else_has_the_job(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    zombie = take(platform)
    lose(platform)
    successor = take(platform)
    assert zombie is not None
    assert successor is not None
    assert (zombie.jobs[0].attempt, successor.jobs[0].attempt) == (1, 2)
    theirs, ours = (dataclasses.replace(SAID, label=who) for who in ("zombie", "successor"))
    assert settle.complete(platform.engine, [settle.Done(zombie.jobs[0], theirs, 1)]) == set()
    assert not settle.fail(platform.engine, zombie.jobs[0], errors.ModelError())
    assert settle.complete(platform.engine, [settle.Done(successor.jobs[0], ours, 1)]) == {job}
    stored = platform.one("SELECT body ->> 'label', attempt FROM job_results WHERE job_id = :id", id=job)
    assert stored == ("successor", 2)


def test_a_job_that_lost_a_worker_runs_alone(platform: Platform, new_job: NewJob) -> None:
    poison = new_job()
    take(platform)
    lose(platform)
    new_job()
    batch = take(platform)
    assert batch is not None
    assert [item.id for item in batch.jobs] == [poison]


def test_three_lost_workers_end_a_job_as_worker_lost(platform: Platform, new_job: NewJob) -> None:
    job = new_job(max_attempts=10)
    for _ in range(3):
        assert take(platform) is not None
        lose(platform)
    assert status_of(platform, job) == "failed"
    assert platform.one("SELECT error ->> 'code' FROM jobs WHERE id = :id", id=job) == ("WORKER_LOST",)


def test_a_retryable_error_returns_the_job_and_the_last_attempt_fails_it(platform: Platform, new_job: NewJob) -> None:
    job = new_job(max_attempts=2)
    for expected in ("pending", "failed"):
        platform.execute("UPDATE jobs SET not_before = now()")
        batch = take(platform)
        assert batch is not None
        assert settle.fail(platform.engine, batch.jobs[0], errors.ModelUnavailable())
        assert status_of(platform, job) == expected


def test_a_job_that_is_tried_again_later_passes_nobody_who_has_come_meanwhile(
    platform: Platform, new_job: NewJob
) -> None:
    again, meanwhile = new_job(), None
    (held,) = took(platform)
    meanwhile = new_job()
    settle.fail(platform.engine, held, errors.ModelUnavailable())
    platform.execute("UPDATE jobs SET not_before = now()")
    order = [row[0] for row in platform.rows("SELECT id FROM jobs ORDER BY fair_at, id")]
    assert order == [meanwhile, again]


def test_a_job_that_is_tried_again_is_not_due_at_once(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    (held,) = took(platform)
    platform.execute("UPDATE jobs SET not_before = now() - interval '1 h'")
    assert settle.fail(platform.engine, held, errors.ModelUnavailable())
    assert platform.one("SELECT not_before >= now() - interval '1 min' FROM jobs WHERE id = :id", id=job) == (True,)


def test_an_attempt_is_its_holders_until_somebody_else_has_the_job_or_it_is_to_end(
    platform: Platform, new_job: NewJob
) -> None:
    job = new_job()

    def is_ours(held: Claimed) -> bool:
        with platform.engine.begin() as connection:
            return settle.is_ours(connection, held)

    (first,) = took(platform)
    assert is_ours(first)
    lose(platform)
    assert not is_ours(first)
    (second,) = took(platform)
    assert (is_ours(first), is_ours(second)) == (False, True)
    platform.execute("UPDATE jobs SET cancel_requested_at = now() WHERE id = :id", id=job)
    assert not is_ours(second)


def test_while_an_attempt_brings_something_about_nobody_can_end_it(platform: Platform, new_job: NewJob) -> None:
    new_job()
    (mine,) = took(platform)
    with platform.engine.begin() as connection:
        assert settle.is_ours(connection, mine)
        assert platform.rows("SELECT id FROM jobs FOR UPDATE SKIP LOCKED") == []
    assert platform.rows("SELECT id FROM jobs FOR UPDATE SKIP LOCKED") == [(mine.id,)]


def test_a_permanent_error_fails_at_once(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    batch = take(platform)
    assert batch is not None
    settle.fail(platform.engine, batch.jobs[0], errors.ModelError("no"))
    assert status_of(platform, job) == "failed"


def test_heartbeats_keep_the_lease_carry_progress_and_bring_cancellation(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    batch = take(platform, lease_s=1)
    assert batch is not None
    leases = leases_of(platform)
    (held,) = leases.hold(batch.jobs)
    held.progress = 40
    platform.execute("UPDATE jobs SET cancel_requested_at = now() WHERE id = :id", id=job)
    leases.beat()
    assert held.canceled
    row = platform.one("SELECT progress, lease_expires_at > now() + interval '50 s' FROM jobs WHERE id = :id", id=job)
    assert row == (40, True)


def test_a_heartbeat_notices_that_the_job_was_given_to_somebody_else(platform: Platform, new_job: NewJob) -> None:
    new_job()
    batch = take(platform)
    assert batch is not None
    leases = leases_of(platform)
    (held,) = leases.hold(batch.jobs)
    lose(platform)
    leases.beat()
    assert held.lost


def test_letting_go_of_a_lost_attempt_keeps_the_lease_of_the_next_one(platform: Platform, new_job: NewJob) -> None:
    new_job()
    leases = leases_of(platform)
    lost = leases.hold(took(platform))
    lose(platform)
    (held,) = leases.hold(took(platform))
    leases.release(lost)
    for fraction, told in ((-1, 0), (float("nan"), 0), (float("inf"), 99), (0.5, 49)):
        held.advance(fraction)
        assert held.progress == told
    leases.beat()
    assert platform.one("SELECT progress FROM jobs") == (49,)


def test_expired_jobs_are_neither_claimed_nor_forgotten(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    platform.execute("UPDATE jobs SET expires_at = now() - interval '1 s'")
    assert take(platform) is None
    assert clean_up(platform)["expire"] == 1
    assert status_of(platform, job) == "expired"


@pytest.mark.parametrize(
    "end",
    [
        lambda engine, job: settle.put_off(engine, job, errors.ModelUnavailable()),
        lambda engine, job: bool(settle.give_back(engine, [job])),
    ],
    ids=["put off", "given back"],
)
def test_attempts_without_a_charge_have_an_end_where_the_column_has_one(
    platform: Platform, new_job: NewJob, end: Callable[[sqlalchemy.Engine, Claimed], bool]
) -> None:
    # As for a job that waited for two days for the store of its model.
    new_job()
    most = 2**15 - 1
    platform.execute("UPDATE jobs SET max_attempts = :most - 1, attempt = :most - 2", most=most)
    for left in (1, 0):
        (held,) = took(platform)
        assert end(platform.engine, held)
        assert platform.one("SELECT status, max_attempts - attempt FROM jobs") == ("pending", left)
        platform.execute("UPDATE jobs SET not_before = now()")


@pytest.mark.parametrize(
    "end",
    [
        lambda engine, job: settle.fail(engine, job, errors.OutOfMemory()),
        lambda engine, job: settle.put_off(engine, job, errors.ModelUnavailable()),
        lambda engine, job: bool(settle.give_back(engine, [job])),
    ],
    ids=["fails for now", "put off", "given back"],
)
def test_a_job_canceled_while_it_runs_does_not_wait_for_another_attempt(
    platform: Platform, new_job: NewJob, end: Callable[[sqlalchemy.Engine, Claimed], bool]
) -> None:
    job = new_job()
    (held,) = took(platform)
    platform.execute("UPDATE jobs SET error = '{}'")  # of an earlier attempt
    queries.cancel(platform.engine, held.tenant_id, job)
    assert end(platform.engine, held)
    assert platform.one("SELECT status, error FROM jobs") == ("canceled", None)


def test_canceling_a_pending_job_is_immediate_and_a_finished_one_refuses(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    tenant = UUID(str(platform.one("SELECT tenant_id FROM jobs WHERE id = :id", id=job)[0]))
    assert queries.cancel(platform.engine, tenant, job).status == "canceled"
    assert queries.cancel(platform.engine, tenant, job).status == "canceled"
    done = new_job()
    complete(platform, took(platform))
    with pytest.raises(errors.JobStateConflict, match="completed"):
        queries.cancel(platform.engine, tenant, done)


@pytest.mark.parametrize(
    "move",
    [
        "status = 'completed'",
        "status = 'failed'",
        "status = 'processing', lease_expires_at = now()",
        "attempt = -1",
        "progress = -1",
    ],
)
def test_the_guard_refuses_what_is_not_drawn(platform: Platform, new_job: NewJob, move: str) -> None:
    job = new_job()
    with pytest.raises(sqlalchemy.exc.DBAPIError):
        platform.execute(f"UPDATE jobs SET {move} WHERE id = :id", id=job)
    assert status_of(platform, job) == "pending"


def test_nothing_leaves_a_terminal_state(platform: Platform, new_job: NewJob) -> None:
    job = new_job()
    platform.execute("UPDATE jobs SET status = 'canceled' WHERE id = :id", id=job)
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="terminal"):
        platform.execute("UPDATE jobs SET status = 'pending', finished_at = NULL WHERE id = :id", id=job)
