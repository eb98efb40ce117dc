"""What a class of tenants may do: each limit, at its bounds and beside them."""

from __future__ import annotations

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from access import tiers
from access.tiers import LIMITS, Tier
from core import errors
from models import Tier as Table
from tests import callers
from tests.access.conftest import waiting
from tests.conftest import Platform, until
from tests.statements import digest

EVERY = pytest.mark.parametrize("name", LIMITS)
#: Written down anew, so that the product's own table is not its own judge.
BOUNDS = {
    "pace": (0.001, 1_000_000), "max_running": (1, 2_147_483_647), "max_pending": (1, 2_147_483_647),
    "max_ttl_s": (1, 2_147_483_647), "keep_s": (1, 2_147_483_647), "max_uploads": (0, 2_147_483_647),
    "max_upload_bytes": (0, 1_125_899_906_842_624), "max_run_s": (1, 2_147_483_647),
    "requests_per_minute": (1, 2_147_483_647), "requests_burst": (1, 2_147_483_647),
    "units_per_minute": (1, 2_147_483_647), "units_burst": (1, 2_147_483_647),
    "monthly_units": (0, 9_007_199_254_740_992), "allowance_percent": (0, 1000), "unit_price": (0, 1_000_000),
}  # fmt: skip
#: Between what may be set and the next number there is.
STEP = {"pace": 0.0001, "unit_price": 0.01}


def row(platform: Platform, name: str) -> dict[str, Any]:
    return next(item for item in tiers.listed(platform.engine) if item["name"] == name)


def test_every_column_is_a_limit_that_an_operator_can_set() -> None:
    assert (
        set(tiers.COLUMNS) == set(Table.__table__.columns.keys()) == {"name", "priorities", "past_allowance", *LIMITS}
    )
    # What a request is held to is read with its key; how long things are kept is the sweep's alone.
    assert {field.name for field in dataclasses.fields(Tier)} == set(tiers.COLUMNS) - {"keep_s"}


def test_a_limit_has_the_bounds_that_operators_know_it_by() -> None:
    assert {name: (limit.least, limit.most) for name, limit in LIMITS.items()} == BOUNDS
    assert all(limit.meaning for limit in LIMITS.values())


@EVERY
def test_a_limit_may_be_its_least_and_its_most_and_no_other_changes_with_it(platform: Platform, name: str) -> None:
    made = callers.tier(platform)
    for value in (LIMITS[name].least, LIMITS[name].most):
        before, after = tiers.change(platform.engine, made, {name: value})
        assert after == {**before, name: value} == row(platform, made)
        assert before == {**after, name: before[name]}
    assert row(platform, callers.tier(platform, **{name: LIMITS[name].least}))[name] == LIMITS[name].least


@EVERY
def test_a_limit_out_of_its_bounds_is_refused_by_its_name_and_changes_nothing(platform: Platform, name: str) -> None:
    made, step, limit = callers.tier(platform), STEP.get(name, 1), LIMITS[name]
    before = digest(platform)
    for value in (limit.least - step, limit.most + step, -math.inf, math.inf, math.nan, 10**400):
        for attempt in (
            lambda value=value: tiers.change(platform.engine, made, {name: value}),
            lambda value=value: tiers.create(platform.engine, callers.name("t"), like="pro", given={name: value}),
        ):
            with pytest.raises(errors.InvalidInput) as caught:
                attempt()
            assert caught.value.details == {
                "field": name,
                "issue": f"must be between {limit.least:,} and {limit.most:,}",
                "received": pytest.approx(value, nan_ok=True),
            }
    assert digest(platform) == before


def test_of_the_priorities_any_may_be_left_out_but_normal(platform: Platform) -> None:
    made = callers.tier(platform)
    for good in (["normal"], ["low", "normal"], ["high", "normal", "low"]):
        assert tiers.change(platform.engine, made, {"priorities": good})[1]["priorities"] == good
    before = digest(platform)
    for bad in ([], ["high", "low"], ["normal", "normal"], ["normal", "urgent"], ["Normal"]):
        with pytest.raises(errors.InvalidInput) as caught:
            tiers.change(platform.engine, made, {"priorities": bad})
        assert caught.value.details == {
            "field": "priorities",
            "issue": "must be some of high, normal, low, each once, with normal among them",
            "received": ", ".join(bad),
        }
    assert digest(platform) == before


@pytest.mark.parametrize("name", ["", " ", "a b", "é", "a\n", "x" * 41])
def test_a_name_that_cannot_be_typed_is_refused(platform: Platform, name: str) -> None:
    before = digest(platform)
    with pytest.raises(errors.InvalidInput) as caught:
        tiers.create(platform.engine, name, like="pro", given={})
    assert caught.value.details == {"field": "name", "issue": "must be 1 to 40 visible ASCII characters"}
    assert digest(platform) == before


def test_a_tier_is_a_copy_of_the_one_that_is_named_and_a_taken_name_stays_what_it_is(platform: Platform) -> None:
    name = "m" * 8 + callers.name("")[-32:]
    assert len(name) == tiers.MAX_NAME
    made = tiers.create(platform.engine, name, like="free", given={"max_uploads": 3})
    assert made == {**row(platform, "free"), "name": name, "max_uploads": 3} == row(platform, name)
    before = digest(platform)
    with pytest.raises(errors.TenantConflict, match=f"There is a tier {name} already"):
        tiers.create(platform.engine, name, like="pro", given={})
    with pytest.raises(errors.InvalidInput) as caught:
        tiers.create(platform.engine, callers.name("t"), like="gold", given={})
    details = caught.value.details
    assert (details["field"], details["received"]) == ("like", "gold")
    assert details["issue"].startswith("must be one of anonymous, ")
    with pytest.raises(errors.NotFound, match="There is no tier 'gold'"):
        tiers.change(platform.engine, "gold", {"pace": 1})
    assert digest(platform) == before


def test_a_change_is_of_one_tier(platform: Platform) -> None:
    made, other = callers.tier(platform), callers.tier(platform)
    kept = row(platform, other)
    tiers.change(platform.engine, made, {"max_running": 1})
    assert row(platform, other) == kept


def test_two_who_change_a_tier_at_once_both_get_what_they_asked_for(platform: Platform) -> None:
    """A change writes the whole row: whoever comes second starts from what the first one left."""
    made = callers.tier(platform)
    with ThreadPoolExecutor(1) as pool, platform.admin.begin() as first:
        first.execute(text("UPDATE tiers SET max_pending = 3 WHERE name = :name"), {"name": made})
        second = pool.submit(tiers.change, platform.engine, made, {"max_running": 2})
        until(lambda: waiting(platform, "tiers"))
        first.commit()
        before, after = second.result()
    assert (before["max_pending"], after["max_pending"], after["max_running"]) == (3, 3, 2)
    assert after == row(platform, made)
