"""What tests of jobs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy

from core import database


@pytest.fixture
def nowhere() -> Iterator[sqlalchemy.Engine]:
    """A Postgres that is away."""
    engine = database.create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    yield engine
    engine.dispose()
