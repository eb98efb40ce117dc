"""An engine that is away in the middle of something: nobody is charged for it, and nothing is done twice."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy
import sqlalchemy.exc

import models
from core import broker, errors
from core.seal import Seal
from jobs import retention, settle, submit, uploads
from jobs.drain import Drainer
from jobs.job import Claimed
from jobs.lease import TOLERATED_FAILURES, Leases
from jobs.outcome import Outcome
from storage.objects import Store
from tests import factories
from tests.conftest import Platform
from tests.hands import SAID, lose, status_of, took, with_tools

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]


@pytest.fixture
def no_store(platform: Platform) -> Store:
    """A store that is away."""
    return Store(dataclasses.replace(platform.settings.storage, endpoint_url="http://127.0.0.1:1"), attempts=1)


def put_off(platform: Platform, job_id: UUID) -> sqlalchemy.Row[*tuple[Any, ...]]:
    return platform.one(
        "SELECT status, max_attempts - attempt, lost_count, error ->> 'code', not_before > now() FROM jobs"
        " WHERE id = :id",
        id=job_id,
    )


@pytest.mark.parametrize("away", ["postgres", "the store"])
def test_an_engine_that_is_away_in_the_middle_of_an_attempt_costs_the_job_no_attempt(
    platform: Platform, drainer: Drainer, new_job: NewJob, nowhere: sqlalchemy.Engine, no_store: Store, away: str
) -> None:
    inputs = {"key": "uploads/1", "etag": "1", "sha256": None, "format": "jsonl"}
    mine = new_job(kind="bulk", inputs=inputs, max_attempts=1)
    held = drainer.leases.hold(took(platform))
    if away == "postgres":
        attempts = with_tools(drainer.attempts, engine=nowhere)
    else:
        sources = dataclasses.replace(drainer.attempts.tools.sources, store=no_store)
        attempts = with_tools(drainer.attempts, store=no_store, sources=sources)
    drainer.finisher.finish(held, attempts.run(held))
    assert put_off(platform, mine) == ("pending", 1, 0, "UNAVAILABLE", True)


@pytest.mark.parametrize("error", [errors.Unavailable("away"), errors.ModelUnavailable("away")], ids=repr)
def test_what_the_platform_could_not_begin_is_put_off_and_what_the_model_did_is_an_attempt(
    platform: Platform, drainer: Drainer, new_job: NewJob, error: errors.CoatcheckError
) -> None:
    mine = new_job(max_attempts=1)
    held = drainer.leases.hold(took(platform))
    drainer.finisher.finish(held, [Outcome(held[0], error=error)])
    assert tuple(put_off(platform, mine))[:3] == ("pending", 1, 0)
    platform.execute("UPDATE jobs SET not_before = now()")
    held = drainer.leases.hold(took(platform))
    drainer.finisher.finish(held, [Outcome(held[0], error=errors.ModelError("no", details={"field": "text"}))])
    assert status_of(platform, mine) == "failed"
    said = {"code": "MODEL_ERROR", "message": "no", "details": {"field": "text"}}
    assert platform.one("SELECT error FROM jobs WHERE id = :id", id=mine) == (said,)


def test_a_worker_stops_claiming_after_two_failed_heartbeats_and_claims_again_after_one_that_worked(
    platform: Platform, drainer: Drainer, new_job: NewJob, nowhere: sqlalchemy.Engine
) -> None:
    new_job()
    leases = Leases(nowhere, lease_s=60, heartbeat_s=1, grace_s=1, asked_to_stop=lambda: False)
    leases.hold(took(platform))
    mine, drainer = new_job(), dataclasses.replace(drainer, leases=leases)
    claims = []
    for _ in range(TOLERATED_FAILURES + 1):
        claims.append(leases.may_claim)
        leases.beat()
    assert (claims, leases.may_claim) == ([True] * (TOLERATED_FAILURES + 1), False)
    platform.hints.clear("cpu")
    assert drainer.drain("cpu", "wake") == 0
    assert status_of(platform, mine) == "pending"
    # Somebody else is told to look.
    assert not platform.hints.send("cpu")
    leases._engine = platform.engine
    leases.beat()
    assert leases.may_claim
    assert drainer.drain("cpu", "wake") == 1
    # All of them were in a row: what worked forgets what did not.
    leases.hold(took_again(platform, new_job))
    leases._engine = nowhere
    leases.beat()
    assert leases.may_claim


def took_again(platform: Platform, new_job: NewJob) -> list[Claimed]:
    new_job()
    return took(platform)


def test_a_settle_is_repeated_through_an_outage_until_it_is_known(
    platform: Platform, drainer: Drainer, new_job: NewJob, nowhere: sqlalchemy.Engine
) -> None:
    mine = new_job()
    (job,) = took(platform)
    engines = iter([nowhere, nowhere, platform.engine, platform.engine])
    comes_back = types.SimpleNamespace(begin=lambda: next(engines).begin())
    patient = dataclasses.replace(drainer.finisher, engine=comes_back)  # type: ignore[arg-type]
    assert patient.complete([settle.Done(job, SAID, 1)]) == {mine}
    assert status_of(platform, mine) == "completed"


@pytest.mark.parametrize("jobs", [1, 2], ids=["one job", "a batch"])
def test_what_ended_during_an_outage_longer_than_its_lease_is_left_to_who_takes_it_back(
    platform: Platform, drainer: Drainer, new_job: NewJob, nowhere: sqlalchemy.Engine, jobs: int
) -> None:
    mine = [new_job() for _ in range(jobs)]
    held = drainer.leases.hold(took(platform))
    deaf = dataclasses.replace(drainer.finisher, engine=nowhere, lease_s=0.0)
    with pytest.raises(sqlalchemy.exc.OperationalError):
        deaf.finish(held, [Outcome(item, SAID, units=1) for item in held])
    assert [status_of(platform, job) for job in mine] == ["processing"] * jobs
    lose(platform)
    drainer.drain("cpu", "wake")
    assert [status_of(platform, job) for job in mine] == ["completed"] * jobs


@pytest.fixture
def old_jobs(platform: Platform) -> list[UUID]:
    """Of each kind one whose time is over, with something of it in the store, and an upload."""
    platform.truncate("uploads")
    tenant, long_ago = factories.tenant(platform), sqlalchemy.text("now() - interval '1 y'")
    ended = {"status": "completed", "finished_at": long_ago}
    large = factories.job(platform, tenant, id=UUID(int=7 << 76), **ended)["id"]
    body = {"form": "stored", "stored_key": "results/old/1.json", "bytes": 1}
    factories.add(platform, models.JobResult, job_id=large, body=body)
    bulk = factories.job(platform, tenant, id=UUID(int=8 << 76), kind="bulk", **ended)["id"]
    factories.add(platform, models.Upload, tenant_id=tenant, created_at=long_ago, expires_at=long_ago)
    return [large, bulk]


def test_with_the_store_away_nothing_is_forgotten(platform: Platform, no_store: Store, old_jobs: list[UUID]) -> None:
    for forget in (retention.purge, uploads.purge):
        with pytest.raises(errors.Unavailable):
            forget(platform.engine, no_store)
    assert [status_of(platform, job) for job in old_jobs] == ["completed"] * 2
    assert len(platform.rows("SELECT FROM uploads")) == 1


def test_a_slow_store_is_asked_while_no_transaction_is_open(
    platform: Platform, old_jobs: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
    asked: list[str] = []

    def delete_all(prefix: str) -> None:
        # Postgres ends one that rests for ten seconds, and with it all that it has done.
        assert platform.one(waits) == (0,)
        asked.append(prefix)

    monkeypatch.setattr(platform.store, "delete_all", delete_all)
    for forget in (retention.purge, uploads.purge):
        forget(platform.engine, platform.store)
    assert len(asked) == 3
    assert platform.rows("SELECT FROM jobs") == platform.rows("SELECT FROM uploads") == []


def test_without_postgres_a_submit_promises_nothing(platform: Platform, nowhere: sqlalchemy.Engine) -> None:
    caller, _ = platform.new_tenant()
    submitter = submit.Submitter(
        nowhere, broker.Line(platform.settings.queue.redis_url), platform.hints, Seal(platform.settings.sealing)
    )
    new = submit.NewJob(caller, "cpu", "sentiment", "1.0.0", {}, {}, {}, "req", 60, 60, 1)
    with pytest.raises(errors.Unavailable):
        submitter.submit(new)
