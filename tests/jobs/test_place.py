"""What a waiting job is told of its start: by whom it is counted on, and by what of its tenant's it is held up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from jobs import place, queries
from jobs.place import Place
from tests import factories
from tests.conftest import Platform
from tests.factories import PAST
from tests.hands import sign_of_life


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


def told(platform: Platform, tenant: UUID, **given: Any) -> Place:
    """Of a job that this tenant hands in now."""
    mine = factories.job(platform, tenant, **given)["id"]
    return place.place(platform.engine, tenant, queries.get(platform.engine, tenant, mine))


def test_what_no_worker_runs_of_a_tenants_jobs_takes_no_place_of_its_max_running(platform: Platform) -> None:
    sign_of_life(platform, "a/b/1", receives=True, works=True, jobs_per_s=4.0)
    tenant = factories.tenant(platform, max_running=2)
    # A file that waits for its parts, of which one is being run; one who had a worker before; one of somebody else's.
    factories.parked(platform, tenant)
    factories.job(platform, tenant, attempt=1, worker="node/a/1", pool="gpu")
    factories.job(platform, factories.tenant(platform), status="processing")
    free = Place(0, at_least=False, starts_in_s=0.0, basis="0 jobs ahead, 1 worker doing 4 jobs/s")
    assert told(platform, tenant, fair_at=PAST) == free
    factories.job(platform, tenant, status="processing")
    full = Place(1, at_least=False, starts_in_s=None, basis="your tier runs 2 jobs at once, and 2 of yours run now")
    assert told(platform, tenant) == full


def test_the_speed_is_that_of_the_workers_of_its_pool_who_are_heard_of(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    sign_of_life(platform, "a/b/1", receives=True)
    sign_of_life(platform, "a/b/2", works=True, jobs_per_s=0.5)
    sign_of_life(platform, "a/b/3", works=True, jobs_per_s=0.75)
    sign_of_life(platform, "a/b/4", works=True, jobs_per_s=100.0, silent_s=60)
    sign_of_life(platform, "c/d/1", receives=True, works=True, jobs_per_s=100.0, pool="gpu")
    for _ in range(2):
        factories.job(platform, tenant, fair_at=PAST)
    expected = Place(2, at_least=False, starts_in_s=1.6, basis="2 jobs ahead, 2 workers doing 1.25 jobs/s")
    assert told(platform, tenant) == expected
