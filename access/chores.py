"""Housekeeping of who may do what; every statement is bounded, and any number of processes may do it at once."""

from __future__ import annotations

import sqlalchemy

from access import blocks, quota, usage
from core.chores import Chore


def of_access(engine: sqlalchemy.Engine, *, max_errors: int, keep_days: int) -> list[Chore]:
    """What keeps the ledger readable for so many days and tenants informed, watches callers' habits, if anybody is to
    be held back, and forgets what is held against nobody."""
    made = [
        Chore("add up usage", 2, lambda: usage.fold(engine)),
        Chore("forget usage", 2, lambda: usage.forget(engine, keep_days=keep_days)),
        Chore("tell of quotas", 10, lambda: quota.tell(engine)),
        Chore("forget blocks", 60, lambda: blocks.purge(engine)),
    ]
    return [*made, Chore("find surges", 60, lambda: blocks.find_surges(engine))] if max_errors else made
