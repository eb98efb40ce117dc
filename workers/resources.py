"""What this worker process owns, made at its first task: never at import, never before the spawn."""

from __future__ import annotations

import functools
import threading

from core import settings
from wiring.worker import Worker
from workers import node, signs
from workers.upkeep import Upkeep

_making = threading.Lock()


def worker() -> Worker:
    """The process's parts."""
    with _making:
        return _worker()


def upkeep() -> Upkeep:
    """The process's only one."""
    with _making:
        return _upkeep()


@functools.cache
def _worker() -> Worker:
    return Worker(settings.load(), signs.mine(), asked_to_stop=node.asked_to_stop)


@functools.cache
def _upkeep() -> Upkeep:
    return Upkeep(_worker().engine, _worker().chores)
