"""Two who want one row, and time that stands still."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.conftest import Platform


@pytest.fixture
def month(today: dt.date) -> dt.date:
    return today.replace(day=1)


def waiting(platform: Platform, table: str) -> int:
    """How many wait for a row of this table that another one holds."""
    found = platform.rows(
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :query", query=f"% {table} %"
    )
    return len(found)


class Clock:
    """A monotonic clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s
