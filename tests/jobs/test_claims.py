"""What one claim takes of a lane: those that come first, and no more than is known to run together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from jobs import claim
from tests import factories
from tests.conftest import Platform
from tests.hands import take

MAX_BATCH = 2


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


@pytest.fixture
def lane(new_lane: Callable[[int], dict[str, str]]) -> dict[str, str]:
    return new_lane(MAX_BATCH)


def stands(platform: Platform, tenant: UUID, ago_s: float, **given: Any) -> UUID:
    fair_at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago_s)
    return UUID(str(factories.job(platform, tenant, fair_at=fair_at, **given)["id"]))


def claimed(platform: Platform) -> set[UUID]:
    batch = take(platform)
    return {job.id for job in batch.jobs} if batch else set()


def test_of_more_jobs_at_one_place_than_a_batch_holds_those_that_were_handed_in_first_are_taken(
    platform: Platform, lane: dict[str, str]
) -> None:
    tenant = factories.tenant(platform)
    in_order = sorted(stands(platform, tenant, 0, **lane) for _ in range(5))
    platform.execute("UPDATE jobs SET fair_at = now() - interval '1 h'")
    assert [claimed(platform) for _ in range(3)] == [{*in_order[:2]}, {*in_order[2:4]}, {in_order[4]}]


def test_of_a_version_that_nobody_knows_any_more_jobs_are_taken_one_by_one(platform: Platform) -> None:
    tenant, gone = factories.tenant(platform), {"model": "gone", "lane": "cpu/predict/gone/1.0.0"}
    first, second = (stands(platform, tenant, ago_s, **gone) for ago_s in (20, 10))
    assert [claimed(platform), claimed(platform)] == [{first}, {second}]


def test_behind_a_floor_no_neighbour_of_the_lane_is_taken_along_from_before_it(
    platform: Platform, lane: dict[str, str]
) -> None:
    tenant = factories.tenant(platform)
    before, behind = (stands(platform, tenant, ago_s, **lane) for ago_s in (200, 50))
    floor = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=100)
    batch = claim.claim(platform.engine, pool="cpu", worker="node/a/1", wake_id="w", lease_s=60, floor=floor)
    assert batch is not None
    assert [job.id for job in batch.jobs] == [behind]
    assert claimed(platform) == {before}
