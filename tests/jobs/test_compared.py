"""What shadows are to be asked, and what was compared: each pool, version and shadow by itself."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

import models
from jobs.shadows import copies, pairs
from tests import factories
from tests.conftest import Platform
from tests.factories import PAST


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


def test_what_is_over_or_of_another_pool_is_neither_asked_nor_in_the_way_of_what_is_to_be_asked(
    platform: Platform,
) -> None:
    waiting: list[dict[str, Any]] = [
        {"version": "1.5.0", "expires_at": PAST}, {"place": 1}, {"place": 2, "expires_at": PAST},
        {"place": 3, "pool": "gpu"}, {"place": 4}, {"place": 5},
    ]  # fmt: skip
    for given in waiting:
        factories.add(platform, models.ShadowCopy, **given)
    taken = [[item.place for item in copies.take(platform.engine, "cpu", 2)] for _ in range(3)]
    assert taken == [[1, 4], [5], []]


def test_what_somebody_else_holds_is_forgotten_the_next_time(platform: Platform) -> None:
    for _ in range(2):
        factories.add(platform, models.ShadowCopy, expires_at=PAST)
        factories.add(platform, models.ShadowPair, at=text("now() - interval '31 days'"))
    with platform.admin.begin() as elsewhere:
        for table in ("shadow_copies", "shadow_pairs"):
            elsewhere.execute(text(f"SELECT FROM {table} ORDER BY id LIMIT 1 FOR UPDATE"))
        # It would wait for five seconds, and fail.
        assert (copies.purge(platform.engine), pairs.purge(platform.engine)) == ({"sentiment": 1}, 1)
    assert (copies.purge(platform.engine), pairs.purge(platform.engine)) == ({"sentiment": 1}, 1)


#: What was compared, in this order: the model, the shadow, and its version.
COMPARED = (
    ("m", "next", "2.0.0"), ("another", "next", "3.0.0"), ("m", "other", "3.0.0"), ("m", "next", "3.0.0"),
    ("m", "next", "3.0.0"), ("m", "other", "2.0.0"), ("another", "next", "2.0.0"),
)  # fmt: skip


@pytest.fixture
def compared(platform: Platform) -> None:
    for place, (model, name, version) in enumerate(COMPARED):
        at = text(f"now() - interval '{abs(3 - place)} h'")
        given = {"model": model, "name": name, "version": version, "place": place, "at": at}
        factories.add(platform, models.ShadowPair, **given)


def test_what_is_shown_of_a_shadow_is_its_last_comparison_and_no_other_ones(platform: Platform, compared: None) -> None:
    found = [(pair.model, pair.version, pair.place) for pair in pairs.of(platform.engine, "m", "next")]
    assert found == [("m", "3.0.0", 3), ("m", "3.0.0", 4)]


def test_every_shadow_is_listed_once_with_how_many_pairs_there_are_and_when_the_last_came(
    platform: Platform, compared: None
) -> None:
    found = pairs.names(platform.engine)
    assert [(item.model, item.name, item.pairs) for item in found] == [
        ("another", "next", 2), ("m", "next", 3), ("m", "other", 2),
    ]  # fmt: skip
    (now,) = platform.one("SELECT now()")
    assert [round((now - item.last_at).total_seconds() / 3600) for item in found] == [2, 0, 1]
