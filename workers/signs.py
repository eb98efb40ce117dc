"""What each process of a worker says of itself, from its start to its stop: that it goes round, and what it counted."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery.concurrency import thread
from celery.signals import worker_process_init, worker_ready

from core import metrics, settings
from core.tally import Tally
from jobs import presence
from jobs.presence import Presence
from wiring.base import Base, Limits
from workers import node


@worker_ready.connect
def _parent_begins(sender: Any, **_: Any) -> None:
    """Its own loop has to go round, since that hands out the work; so it counts as silent while Redis is away."""
    loop = _Loop()
    sender.timer.call_repeatedly(1.0, loop.goes_round)
    mine().receives, mine().works = True, isinstance(sender.pool, thread.TaskPool)
    _begin(loop.went_round)


@worker_process_init.connect
def _child_begins(**_: Any) -> None:
    _begin(lambda: True)


class _Loop:
    """When a loop last went round."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def goes_round(self) -> None:
        self._at = time.monotonic()

    def went_round(self) -> bool:
        return time.monotonic() - self._at < presence.SILENT_S / 2


@functools.cache
def mine() -> Presence:
    """This process's own, from its first sign to its last: Celery's signals call functions, which keep nothing."""
    name, lease_s = f"{node.incarnation()}/{os.getpid()}", settings.load().jobs.lease_s
    return Presence(name, node=node.incarnation(), pools=node.pools(), lease_s=lease_s)


def _begin(goes_round: Callable[[], bool]) -> None:
    engine = Base(settings.load(), application="coatcheck-signs", limits=Limits(connections=1)).engine
    tally = Tally(metrics.OF_ALL + metrics.OF_WORKERS)

    def tell() -> None:
        # Who was asked to stop takes nothing more, but still counts what it ends.
        if goes_round() and not node.asked_to_stop():
            mine().tell(engine)
            if mine().receives:
                presence.forget(engine, node.incarnation(), lambda pid: Path(f"/proc/{pid}").exists())
        tally.tell(engine)

    threading.Thread(target=presence.always, args=(tell,), name="signs", daemon=True).start()
