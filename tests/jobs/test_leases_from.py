"""A claim counts what runs without looking at what ran: no lease that anybody holds ends before what processes tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs import claim
from jobs.drain import Drainer
from jobs.job import Claimed
from jobs.lease import Leases
from jobs.presence import GONE_S, Presence
from tests import factories
from tests.conftest import Platform
from tests.hands import complete, sign_of_life, take, took
from wiring.runner import Runner

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]
LEASE_S = 60.0


@pytest.fixture
def leases(platform: Platform) -> Leases:
    return Leases(platform.engine, lease_s=LEASE_S, heartbeat_s=5, grace_s=1, asked_to_stop=lambda: False)


def process(platform: Platform, name: str = "n/i/1", leases: Leases | None = None) -> Presence:
    """One that has told its first sign of life."""
    made = Presence(name, node="n/i", pools=["cpu"], lease_s=LEASE_S)
    if leases:
        made.renewed_since = leases.renewed_since
    made.tell(platform.engine)
    return made


def mine_now(platform: Platform) -> list[Claimed]:
    """What a process takes whose leases are as long as it tells."""
    batch = take(platform, lease_s=LEASE_S)
    assert batch is not None
    return list(batch.jobs)


def now(platform: Platform) -> dt.datetime:
    with platform.engine.connect() as connection:
        moment: dt.datetime = connection.execute(text("SELECT now()")).scalar_one()
    return moment


def ago(platform: Platform, seconds: float, name: str = "n/i/1") -> dt.datetime:
    """The process's last sign was so long ago."""
    seen_at = now(platform) - dt.timedelta(seconds=seconds)
    platform.execute("UPDATE workers SET seen_at = :at WHERE name = :name", at=seen_at, name=name)
    return seen_at


def told(platform: Platform, name: str = "n/i/1") -> dt.datetime:
    moment = platform.one("SELECT leases_from FROM workers WHERE name = :name", name=name)[0]
    assert isinstance(moment, dt.datetime)
    return moment


@pytest.mark.parametrize(("ends_in_s", "counts"), [(9.0, False), (11.0, True)])
def test_a_claim_counts_leases_that_end_after_that_alone(platform: Platform, ends_in_s: float, counts: bool) -> None:
    tenant = factories.tenant(platform, max_running=1)
    at = now(platform)
    lease = {"status": "processing", "lease_expires_at": at + dt.timedelta(seconds=ends_in_s)}
    factories.job(platform, tenant, **lease)
    factories.job(platform, tenant)
    found = claim.claim(
        platform.engine, pool="cpu", worker="n/i/1", wake_id="1", lease_s=1, leases_from=at + dt.timedelta(seconds=10)
    )
    assert (found is None) is counts


def test_a_lease_that_is_over_counts_no_more_whatever_is_told(platform: Platform) -> None:
    tenant = factories.tenant(platform, max_running=1)
    at = now(platform)
    factories.job(platform, tenant, status="processing", lease_expires_at=at - dt.timedelta(seconds=1))
    factories.job(platform, tenant)
    long_ago = at - dt.timedelta(hours=1)
    assert claim.claim(platform.engine, pool="cpu", worker="w", wake_id="1", lease_s=1, leases_from=long_ago)


def test_a_worker_counts_no_lease_that_ends_before_what_processes_tell(
    platform: Platform, drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = factories.tenant(platform, max_running=1)
    at = now(platform) + dt.timedelta(hours=1)
    factories.job(platform, tenant, status="processing", lease_expires_at=at)
    factories.job(platform, tenant)
    found = []
    for told_ in (at - dt.timedelta(seconds=1), at + dt.timedelta(seconds=1)):
        monkeypatch.setattr(drainer.presence, "leases_from", told_)
        found.append(drainer.drain("cpu", "wake"))
    assert found == [0, 1]


def test_a_process_without_a_job_tells_that_what_it_takes_ends_a_lease_after_its_last_sign(platform: Platform) -> None:
    mine = process(platform)
    assert now(platform) < told(platform) < now(platform) + dt.timedelta(seconds=LEASE_S)
    last = ago(platform, 3)
    mine.tell(platform.engine)
    assert told(platform) == last + dt.timedelta(seconds=LEASE_S) == mine.leases_from


def test_a_process_with_jobs_tells_of_the_one_that_was_renewed_longest_ago(
    platform: Platform, new_job: NewJob, leases: Leases
) -> None:
    mine = process(platform, leases=leases)
    new_job()
    held = leases.hold(took(platform))
    claimed_at = held[0].job.claimed_at
    new_job()
    leases.hold(took(platform))
    mine.tell(platform.engine)
    mine.tell(platform.engine)
    assert claimed_at is not None
    assert mine.leases_from == claimed_at + dt.timedelta(seconds=LEASE_S)
    leases.beat()
    renewed = leases.renewed_since()
    assert renewed is not None
    assert renewed > claimed_at
    leases.release(held)
    assert leases.renewed_since() == renewed


def test_a_workers_process_tells_of_the_leases_that_it_holds_itself(platform: Platform, new_job: NewJob) -> None:
    runner = Runner(platform.settings, process(platform), asked_to_stop=lambda: False)
    new_job()
    claimed = took(platform)
    runner.leases.hold(claimed)
    runner.leases.close()
    runner.leases.join()
    assert runner.presence.renewed_since() == claimed[0].claimed_at
    runner.close()


def test_what_could_not_be_renewed_is_told_as_it_was(platform: Platform, new_job: NewJob, leases: Leases) -> None:
    new_job()
    held = leases.hold(took(platform))
    leases.beat()
    renewed = leases.renewed_since()
    complete(platform, [held[0].job])
    leases.beat()
    assert held[0].lost
    assert leases.renewed_since() == renewed
    leases.release(held)
    assert leases.renewed_since() is None


def test_the_earliest_of_all_processes_counts_but_of_none_that_is_gone(platform: Platform) -> None:
    mine = process(platform)
    assert mine.leases_from == told(platform)
    other = process(platform, "n/i/2")
    assert other.leases_from == told(platform)
    ago(platform, GONE_S + 1)
    other.tell(platform.engine)
    assert other.leases_from == told(platform, "n/i/2")


def test_beside_a_process_of_the_release_before_all_leases_are_looked_at(platform: Platform) -> None:
    sign_of_life(platform, "a/b/1", works=True)
    mine = process(platform)
    assert mine.leases_from == dt.datetime.fromtimestamp(0, dt.UTC)


def test_no_lease_ever_ends_before_what_was_told_while_a_process_works(
    platform: Platform, new_job: NewJob, leases: Leases
) -> None:
    mine = process(platform, leases=leases)
    for _ in range(5):
        new_job()
        held = leases.hold(mine_now(platform))
        mine.tell(platform.engine)
        leases.beat()
        new_job(model="tumor")
        leases.hold(mine_now(platform))
        mine.tell(platform.engine)
        earliest = platform.one("SELECT min(lease_expires_at) FROM jobs WHERE status = 'processing'")[0]
        assert mine.leases_from is not None
        assert earliest >= mine.leases_from
        complete(platform, [held[0].job])
        leases.release(held)
