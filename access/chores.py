"""Housekeeping of who may do what."""

from __future__ import annotations

import sqlalchemy

from access import blocks
from core.chores import Chore


def of_access(engine: sqlalchemy.Engine, *, max_errors: int) -> list[Chore]:
    """What watches callers' habits, if anybody is to be held back, and forgets what is held against nobody."""
    forget = Chore("forget blocks", 60, lambda: blocks.purge(engine))
    return [forget, Chore("find surges", 60, lambda: blocks.find_surges(engine))] if max_errors else [forget]
