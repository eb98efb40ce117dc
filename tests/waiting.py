"""Whose turn it is to change tables or roles: connections that wait for little else, and who waits long."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event

from core import database

#: Somebody's wait that would have been too long for any other lock.
WAITS_LONG = """
SELECT FROM pg_locks
WHERE locktype = 'advisory' AND NOT granted AND clock_timestamp() - waitstart > interval '0.5 s'
"""


def hasty_for_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection that is made from now on begins with waiting for a lock no longer than a moment."""
    real = database.create_engine

    def create_engine(*arguments: Any, **given: Any) -> sqlalchemy.Engine:
        engine = real(*arguments, **given)

        @event.listens_for(engine, "connect")
        def hasty(connection: Any, _: object) -> None:
            connection.execute("SET lock_timeout = '100ms'")
            connection.commit()

        return engine

    monkeypatch.setattr(database, "create_engine", create_engine)
