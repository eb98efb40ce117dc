"""What tests of jobs share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy

import models
from core import database
from tests import factories
from tests.conftest import Platform


@pytest.fixture
def nowhere() -> Iterator[sqlalchemy.Engine]:
    """A Postgres that is away."""
    engine = database.create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    yield engine
    engine.dispose()


@pytest.fixture
def new_lane(platform: Platform) -> Iterator[Callable[[int], dict[str, str]]]:
    """Makes a model that takes so many at once, and says where its jobs stand."""
    made: list[str] = []

    def make(max_batch: int) -> dict[str, str]:
        model = factories.add(platform, models.Model)["name"]
        factories.add(platform, models.ModelVersion, model=model, max_batch=max_batch)
        made.append(model)
        return {"model": model, "lane": f"cpu/predict/{model}/1.0.0"}

    yield make
    platform.execute("DELETE FROM models WHERE name = ANY (:made)", made=made)
