"""Whose turn it is to change tables or roles: connections that wait for little else, and who waits long."""

from __future__ import annotations

import pytest

from core import database

#: Somebody's wait that would have been too long for any other lock, and for a statement.
WAITS_LONG = """
SELECT FROM pg_locks
WHERE locktype = 'advisory' AND NOT granted AND clock_timestamp() - waitstart > interval '0.5 s'
"""


def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that are made from now on wait for a lock, or for a statement where nothing else is said, for a
    moment."""
    monkeypatch.setattr(database, "LOCK_S", 0.1)
    monkeypatch.setitem(database.create_engine.__kwdefaults__, "statement_s", 0.3)
