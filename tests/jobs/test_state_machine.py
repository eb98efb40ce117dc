"""Any order of any moves, by any number of workers, keeps the promises."""

from __future__ import annotations

import random
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from core import errors
from jobs import queries, rescue, settle, submit
from jobs.job import Claimed
from tests.conftest import Platform
from tests.hands import clean_up, complete, take

TERMINAL = ("completed", "failed", "canceled", "expired")


def machine(platform: Platform) -> type[RuleBasedStateMachine]:
    """A machine that drives this platform's SQL."""
    caller, _ = platform.new_tenant()

    class Life(RuleBasedStateMachine):
        jobs = Bundle("jobs")

        def __init__(self) -> None:
            super().__init__()
            platform.truncate("jobs, job_results, feedback, usage, job_events")
            self.held: list[Claimed] = []  #: by workers dead or alive: any of these may still write
            self.ended: dict[UUID, tuple[object, ...]] = {}

        @rule(target=jobs, max_attempts=st.integers(1, 3))
        def accept(self, max_attempts: int) -> UUID:
            new = submit.NewJob(caller, "cpu", "sentiment", "1.0.0", {}, {}, {}, "req", 3600, 60, max_attempts)
            platform.submitter.submit(new)
            return new.id

        @rule(wake=st.sampled_from("ab"))
        def claim(self, wake: str) -> None:
            platform.execute("UPDATE jobs SET not_before = now() WHERE status = 'pending'")
            batch = take(platform, worker=f"n/{wake}/1", wake_id=wake)
            self.held += batch.jobs if batch else []

        @rule(seed=st.integers(0, 99))
        def complete_some(self, seed: int) -> None:
            complete(platform, random.Random(seed).sample(self.held, len(self.held) // 2))

        @rule(seed=st.integers(0, 99))
        def a_zombie_completes(self, seed: int) -> None:
            """Whoever claimed longest ago, most likely not the owner any more."""
            complete(platform, self.held[: 1 + seed % 3])

        @rule(seed=st.integers(0, 99), retryable=st.booleans())
        def fail_one(self, seed: int, retryable: bool) -> None:
            error = errors.ModelUnavailable() if retryable else errors.ModelError()
            for job in random.Random(seed).sample(self.held, min(1, len(self.held))):
                settle.fail(platform.engine, job, error)

        @rule(seed=st.integers(0, 99))
        def give_one_back(self, seed: int) -> None:
            for job in random.Random(seed).sample(self.held, min(1, len(self.held))):
                settle.give_back(platform.engine, [job])

        @rule(seed=st.integers(0, 99))
        def honour_a_cancel(self, seed: int) -> None:
            for job in random.Random(seed).sample(self.held, min(1, len(self.held))):
                settle.cancel(platform.engine, job)

        @rule(wake=st.sampled_from("ab"))
        def a_child_dies(self, wake: str) -> None:
            rescue.child_died(platform.engine, wake, max_losses=3)

        @rule()
        def all_leases_run_out(self) -> None:
            platform.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE status = 'processing'")
            clean_up(platform)

        @rule(job=jobs)
        def ask_to_cancel(self, job: UUID) -> None:
            try:
                queries.cancel(platform.engine, caller.tenant_id, job)
            except errors.JobStateConflict:
                assert self.status(job) in TERMINAL

        @rule(job=jobs)
        def expire(self, job: UUID) -> None:
            platform.execute("UPDATE jobs SET expires_at = now() WHERE id = :id", id=job)
            clean_up(platform)
            assert self.status(job) in TERMINAL

        def status(self, job: UUID) -> object:
            return platform.one("SELECT status FROM jobs WHERE id = :id", id=job)[0]

        @invariant()
        def what_has_ended_stays_as_it_ended(self) -> None:
            rows = platform.rows(
                "SELECT id, status, jobs.attempt, finished_at, r.attempt, body::text FROM jobs"
                " LEFT JOIN job_results r ON job_id = id WHERE finished_at IS NOT NULL"
            )
            now = {row[0]: tuple(row[1:]) for row in rows}
            assert {job: now.get(job) for job in self.ended} == self.ended
            self.ended = now

        @invariant()
        def results_and_charges_belong_to_completed_jobs_and_their_last_attempt(self) -> None:
            odd = (
                "SELECT jobs.id FROM jobs LEFT JOIN job_results r ON r.job_id = jobs.id"
                " LEFT JOIN usage u ON u.job_id = jobs.id"
                " WHERE (status = 'completed') <> (r.job_id IS NOT NULL AND u.job_id IS NOT NULL)"
                " OR r.attempt <> jobs.attempt OR jobs.attempt > max_attempts OR lost_count > 3"
            )
            assert platform.rows(odd) == []

        @invariant()
        def the_events_tell_the_same_story(self) -> None:
            odd = (
                "SELECT id FROM jobs JOIN LATERAL (SELECT count(*) FILTER (WHERE type = 'processing') AS claims,"
                " count(*) FILTER (WHERE type IN ('completed', 'failed', 'canceled', 'expired')) AS ends"
                " FROM job_events WHERE job_id = jobs.id) e ON true"
                " WHERE claims <> attempt OR ends <> (finished_at IS NOT NULL)::int"
            )
            assert platform.rows(odd) == []

    return Life


@pytest.mark.timeout(1200)
def test_any_order_of_moves_keeps_the_promises(platform: Platform) -> None:
    run_state_machine_as_test(
        machine(platform),
        settings=settings(
            max_examples=100,
            stateful_step_count=25,
            deadline=None,
            # What fails is told as it is: looking for a shorter story takes longer than the suite may.
            phases=[Phase.generate],
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
