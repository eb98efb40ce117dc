"""Two who want one row."""

from __future__ import annotations

from tests.conftest import Platform


def waiting(platform: Platform, table: str) -> bool:
    """Whether somebody waits for a row of this table that another one holds."""
    found = platform.rows(
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :query", query=f"% {table} %"
    )
    return bool(found)
