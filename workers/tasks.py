"""The tasks: thin, without arguments that matter, safe to run twice or never. Flower shows jobs, and not these.

What they need is loaded by whoever runs them: not by a parent of children, which is back the sooner without it.
"""

from __future__ import annotations

import gc
from typing import Any

from celery.signals import worker_process_init

from core import broker
from workers.app import app


@worker_process_init.connect
def _get_ready(**_: Any) -> None:
    """A child has all it needs before it is given work."""
    from workers import resources

    resources.mine.worker.get_ready()
    # What is loaded by now stays. Each look of the garbage collector through all of it costs as much as 500 jobs.
    gc.collect()
    gc.freeze()


@app.task(name=broker.WAKE, bind=True, send_events=False)
def wake(self: Any, pool: str) -> int:
    """Look whether `pool` has work; returns how many jobs were settled."""
    from workers import resources

    return resources.mine.worker.drainer.drain(pool, self.request.id)


@app.task(name=broker.DELIVER, send_events=False)
def deliver(_: str) -> int:
    """Call whoever is owed a call; returns how many calls were settled."""
    from workers import resources

    return resources.mine.worker.courier.drain()


@app.task(name="coatcheck.upkeep", send_events=False)
def upkeep() -> str:
    """Begin the chores that are due: rescue, expire, wake, forget and so on; returns which."""
    from workers import resources

    return ", ".join(resources.mine.upkeep.tick())
