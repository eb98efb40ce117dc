"""The tasks: thin, without arguments that matter, safe to run twice or never. Flower shows jobs, and not these.

What they need is loaded by whoever runs them: not by a parent of children, which is back the sooner without it.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from celery.signals import worker_process_init

from core import broker
from workers.app import app

#: How long a thread of a child goes on while another one wants to. One text's run takes a fiftieth of the usual 5 ms,
#: and after each the model would wait for them while the batch before it is settled.
TURN_S = 0.0005


@worker_process_init.connect
def _get_ready(**_: Any) -> None:
    """A child has all it needs before it is given work."""
    from workers import resources

    resources.mine.worker.get_ready()
    # What is loaded by now stays. Each look of the garbage collector through all of it costs as much as 500 jobs.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(TURN_S)


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
