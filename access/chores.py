"""Housekeeping of the ledger and of quotas; every statement is bounded, and any number of processes may do it at
once."""

from __future__ import annotations

import sqlalchemy

from access import quota, usage
from core.chores import Chore


def of_access(engine: sqlalchemy.Engine, *, keep_days: int) -> list[Chore]:
    """What keeps the ledger readable, and tenants informed; `keep_days` is how long its rows are kept."""
    return [
        Chore("add up usage", 2, lambda: usage.fold(engine)),
        Chore("forget usage", 600, lambda: usage.forget(engine, keep_days=keep_days)),
        Chore("tell of quotas", 10, lambda: quota.tell(engine)),
    ]
