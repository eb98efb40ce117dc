"""A key that is used ten times as much as it was is warned for the day, and what was never used before is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

import models
from access import blocks
from access.chores import of_access
from core import audit
from core.audit import Actor
from tests import factories
from tests.conftest import Platform

LEAST, TIMES = blocks.LEAST_UNITS, blocks.TIMES
#: What an ordinary day of a busy key comes to.
USUAL = LEAST


@pytest.fixture
def tenant(platform: Platform) -> Iterator[UUID]:
    platform.truncate("usage_days, blocks")
    yield factories.tenant(platform)
    platform.truncate("usage_days, blocks")


def used(platform: Platform, tenant: UUID, key_id: str, *days: Sequence[int]) -> None:
    """So many units, so many days ago."""
    for units, ago in days:
        day = text(f"current_date - {ago}")
        factories.add(platform, models.UsageDay, tenant_id=tenant, key_id=key_id, day=day, units=units)


def warned(platform: Platform) -> list[str]:
    blocks.find_surges(platform.engine)
    return sorted(str(row.subject) for row in platform.rows("SELECT subject FROM blocks"))


@pytest.mark.parametrize(
    ("days", "surge"),
    [
        ([(USUAL, 1), (TIMES * USUAL, 0)], True),
        ([(USUAL, 1), (TIMES * USUAL - 1, 0)], False),
        # The mean is that of the days on which it was used.
        ([(USUAL, 7), (3 * USUAL, 2), (2 * TIMES * USUAL, 0)], True),
        ([(USUAL, 7), (3 * USUAL, 2), (2 * TIMES * USUAL - 1, 0)], False),
        # Of what was longer ago, and of no days at all, there is no mean.
        ([(1, 8), (1000 * USUAL, 0)], False),
        ([(1000 * USUAL, 0)], False),
        # Ten times nearly nothing is nothing.
        ([(1, 1), (LEAST, 0)], True),
        ([(1, 1), (LEAST - 1, 0)], False),
    ],
)
def test_ten_times_its_own_mean_of_the_week_before_is_a_surge(
    platform: Platform, tenant: UUID, days: list[tuple[int, int]], surge: bool
) -> None:
    used(platform, tenant, "key", *days)
    # It is nobody's business what the tenant's other keys do, or what nobody knows the key of.
    used(platform, tenant, "other", (5, 1), (5, 0))
    used(platform, tenant, "", (1, 1), (1000 * USUAL, 0))
    used(platform, tenant, "anonymous", (1, 1), (1000 * USUAL, 0))
    assert warned(platform) == (["key:key"] if surge else [])


def test_it_is_warned_once_and_until_the_end_of_the_day(platform: Platform, tenant: UUID) -> None:
    used(platform, tenant, "key", (USUAL, 1), (TIMES * USUAL, 0))
    counted = {"level": "warned", "reason": "surge"}
    before = REGISTRY.get_sample_value("access_held_back_total", counted) or 0
    assert [blocks.find_surges(platform.engine) for _ in range(2)] == [1, 0]
    assert platform.rows(
        "SELECT tenant_id, level, steps, reason, until = current_date + 1, gone_at = until FROM blocks"
    ) == [(tenant, 1, 1, "surge", True, True)]
    assert REGISTRY.get_sample_value("access_held_back_total", counted) == before + 1


def test_whatever_else_was_done_to_a_key_today_it_is_warned(platform: Platform, tenant: UUID) -> None:
    used(platform, tenant, "key", (USUAL, 1), (TIMES * USUAL, 0))
    with platform.admin.begin() as connection:
        audit.record(connection, Actor("cli:test"), "key.rotate", "key:key", tenant_id=tenant)
        # Nor does it matter whom else of the tenant's an operator let go.
        audit.record(connection, Actor("cli:test"), blocks.LIFTED, "key:other", tenant_id=tenant)
    assert warned(platform) == ["key:key"]


def test_who_was_let_go_today_is_not_warned_again(platform: Platform, tenant: UUID) -> None:
    used(platform, tenant, "key", (USUAL, 1), (TIMES * USUAL, 0))
    assert warned(platform) == ["key:key"]
    blocks.lift(platform.engine, "key:key", Actor("cli:test"))
    assert warned(platform) == []
    platform.execute("SET LOCAL session_replication_role = replica; UPDATE audit SET at = date_trunc('day', now())")
    assert warned(platform) == []
    # What was yesterday is over.
    platform.execute("SET LOCAL session_replication_role = replica; UPDATE audit SET at = at - interval '1 d'")
    assert warned(platform) == ["key:key"]


@pytest.mark.parametrize(("max_errors", "looked_for"), [(0, False), (1, True)])
def test_where_nobody_is_held_back_nobody_looks_for_who_is_to_be(
    platform: Platform, max_errors: int, looked_for: bool
) -> None:
    todo = of_access(platform.engine, max_errors=max_errors, keep_days=1)
    assert ("find surges" in {chore.name for chore in todo}) == looked_for
