"""How a version is listed: beside what else is removed or published at the same moment, and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

import models
from core import audit
from inference.bundle import Bundle
from registry import lifecycle, listing
from registry.catalog import Catalog
from tests import factories
from tests.conftest import Platform, until
from tests.registry.conftest import MakeBundle

List = Callable[[Bundle], bool]
HOLD = text("SELECT FROM models WHERE name = :name FOR UPDATE")


@pytest.fixture
def listed(platform: Platform) -> List:
    """Lists a bundle without trying or storing it."""

    def add(made: Bundle) -> bool:
        with platform.engine.begin() as connection:
            return listing.add(connection, made, stable=False, by=audit.operator())

    return add


@pytest.fixture
def other(platform: Platform, catalog: Catalog) -> str:
    """A model of which the first version was removed."""
    name = str(factories.add(platform, models.Model, name=factories.unique("tiny-other"))["name"])
    factories.add(platform, models.ModelVersion, model=name, removed_at=factories.PAST)
    return name


def test_neither_what_was_removed_of_another_model_nor_what_was_beside_it_takes_a_version_its_place(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, listed: List, other: str
) -> None:
    first, second, third = (make_bundle(f"{number}.0.0") for number in (1, 2, 3))
    name = first.manifest.name
    assert [listed(first), listed(second)] == [True, True]
    lifecycle.remove(platform.engine, name, "2.0.0", audit.operator())
    assert listed(third)
    assert catalog.resolve(name, None).version == "1.0.0"
    # And its number is taken of no other model.
    assert catalog.removed(name, "1.0.0") is None
    removed = catalog.removed(name, "2.0.0")
    assert removed is not None
    assert removed.digest == second.digest


def test_what_is_listed_while_the_last_version_is_removed_answers(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, listed: List
) -> None:
    first, second = make_bundle("1.0.0"), make_bundle("2.0.0")
    name = {"name": first.manifest.name}
    listed(first)
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%models%'"
    with ThreadPoolExecutor(1) as pool:
        with platform.admin.begin() as elsewhere:
            elsewhere.execute(HOLD, name)
            elsewhere.execute(text("UPDATE model_versions SET removed_at = now() WHERE model = :name"), name)
            adding = pool.submit(listed, second)
            until(lambda: adding.done() or platform.rows(waits))
        assert adding.result(60)
    assert catalog.resolve(name["name"], None).version == "2.0.0"


def test_a_version_is_listed_while_somebody_changes_another_model(
    platform: Platform, make_bundle: MakeBundle, listed: List, other: str
) -> None:
    with platform.admin.begin() as elsewhere:
        elsewhere.execute(HOLD, {"name": other})
        # It would wait for five seconds, and fail.
        assert listed(make_bundle())
