"""What is read or done of one job, file or tenant is read or done of no other that lies beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

import models
from core import broker, errors, ids
from core.seal import Context, Purpose, Seal
from jobs import events, figures, queries, rescue, reseal, settle
from jobs.job import Claimed
from tests import factories
from tests.conftest import Platform
from tests.factories import SOON
from tests.hands import status_of


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


class Enough(Exception):
    """Ends a wait that goes on."""


def looks(most: int) -> Callable[[], None]:
    """To be called at each look, of which there may be so many."""
    left = iter(range(most))

    def look() -> None:
        if next(left, None) is None:
            raise Enough

    return look


def test_who_waits_for_a_job_waits_for_its_own_end(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    factories.job(platform, tenant, status="completed")
    mine = factories.job(platform, tenant, status="processing")["id"]
    factories.job(platform, tenant, status="completed")
    with pytest.raises(Enough):
        queries.wait(platform.engine, tenant, mine, 60, looks(3))


def test_nobody_waits_for_a_job_of_somebody_else_or_for_a_part_of_a_file(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    file = factories.parked(platform, tenant)
    part = factories.chunk(platform, file, part=1)
    for who, which in ((factories.tenant(platform), file), (tenant, part)):
        with pytest.raises(errors.JobNotFound):
            queries.wait(platform.engine, who, which["id"], 60, looks(1))


def test_a_part_of_a_file_is_not_canceled_alone(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    part = factories.chunk(platform, factories.parked(platform, tenant), part=1)["id"]
    with pytest.raises(errors.JobNotFound):
        queries.cancel(platform.engine, tenant, part)
    assert status_of(platform, part) == "pending"


def test_a_file_that_is_canceled_while_its_parts_run_tells_no_error_of_an_earlier_attempt(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    file = factories.parked(platform, tenant, error={"code": "UNAVAILABLE"})["id"]
    found = queries.cancel(platform.engine, tenant, file)
    assert (found.status, found.error) == ("canceled", None)


def held(job: UUID, tenant: UUID) -> Claimed:
    return Claimed(job, tenant, "predict", 1, 4, "sentiment", "1.0.0", 300, {}, {}, "req")


def test_an_attempt_is_taken_for_no_other_of_the_same_number_and_from_nobody_who_brings_something_about(
    platform: Platform,
) -> None:
    tenant = factories.tenant(platform)
    ended, runs = (factories.job(platform, tenant, status=status)["id"] for status in ("completed", "processing"))
    # As every sweep and every claim takes a job.
    taken = "SELECT id FROM jobs WHERE status = 'processing' FOR UPDATE SKIP LOCKED"
    with platform.engine.begin() as connection:
        assert not settle.is_ours(connection, held(ended, tenant))
        assert platform.rows(taken) == [(runs,)]
        assert settle.is_ours(connection, held(runs, tenant))
        assert platform.rows(taken) == []


def test_the_events_of_a_job_are_its_own(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    jobs = [factories.job(platform, tenant, status="processing")["id"] for _ in range(2)]
    for kind, job in itertools.product(("processing", "progress"), jobs):
        factories.add(platform, models.JobEvent, job_id=job, type=kind)
    for job in jobs:
        found = events.after(platform.engine, queries.get(platform.engine, tenant, job), 0)
        assert [event.type for event in found] == ["processing", "progress"]


def test_the_queue_is_told_by_what_waits_and_by_what_a_worker_runs(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    again = {"attempt": 1, "worker": "node/a/1"}
    for given in ({}, again, {**again, "not_before": SOON}, {"status": "processing"}, {"status": "processing"}):
        factories.job(platform, tenant, **given)
    factories.job(platform, tenant, status="completed", worker="node/a/1")
    factories.job(platform, tenant, status="processing", pool="gpu")
    # It waits for its part, which runs.
    factories.parked(platform, tenant)
    found = figures.queues(platform.engine)
    tiers = [row[0] for row in platform.rows("SELECT name FROM tiers ORDER BY name")]
    assert [(item.pool, item.tier) for item in found] == [*itertools.product(sorted(broker.POOLS), tiers)]
    numbers = {(item.pool, item.tier): (item.waiting, item.delayed, item.running) for item in found}
    assert {place: told for place, told in numbers.items() if any(told)} == {
        ("cpu", "pro"): (3, 1, 3), ("gpu", "pro"): (0, 0, 1),
    }  # fmt: skip


def test_a_job_that_is_repeated_takes_its_own_address_along(platform: Platform) -> None:
    tenant, seal = factories.tenant(platform), Seal(platform.settings.sealing)
    made: list[UUID] = []
    for number in range(3):
        made.append(ids.uuid7())
        sealed = seal.seal(f"https://{number}", Context(Purpose.INPUT_URL, tenant, made[-1]))
        factories.job(platform, tenant, id=made[-1], kind="bulk", status="failed", inputs={"url": sealed})
    new, old = ids.uuid7(), queries.get(platform.engine, tenant, made[1])
    found = reseal.copied(platform.engine, seal, old, new, tenant_id=tenant)
    assert found is not None
    assert seal.open(found["url"], Context(Purpose.INPUT_URL, tenant, new)) == "https://1"


def test_the_more_workers_a_job_has_lost_the_longer_it_pauses(platform: Platform) -> None:
    lost = {"status": "processing", "lost_count": 30_000}
    mine = factories.job(platform, factories.tenant(platform), **lost)["id"]
    assert rescue.child_died(platform.engine, "wake-1", max_losses=32_000) == 1
    pauses = "SELECT not_before > now() + interval '1 s', not_before < now() + interval '2 days' FROM jobs"
    assert platform.one(f"{pauses} WHERE id = :id", id=mine) == (True, True)


@pytest.mark.parametrize(("again", "counted"), [(False, 1), (True, None)], ids=["handed in", "handed in again"])
def test_a_loss_is_held_against_the_canary_that_its_request_was_led_to_and_not_once_more_when_it_is_repeated(
    platform: Platform, again: bool, counted: int | None
) -> None:
    tenant = factories.tenant(platform)
    routes = {"canaries": [{"name": "next", "version": "2.0.0", "percent": 50.0}]}
    model = factories.add(platform, models.Model, routes=routes)["name"]
    given: dict[str, Any] = {"model": model, "version": "2.0.0", "route": "canary next", "created_at": SOON}
    given["retry_of"] = factories.job(platform, tenant, status="failed")["id"] if again else None
    factories.job(platform, tenant, status="processing", **given)
    assert rescue.child_died(platform.engine, "wake-1", max_losses=1) == 1
    evidence = "SELECT (evidence -> 'metrics' -> 'errors' ->> 'canary')::int FROM canaries WHERE model = :model"
    assert platform.rows(evidence, model=model) == ([] if counted is None else [(counted,)])
    platform.execute("DELETE FROM models WHERE name = :model", model=model)
