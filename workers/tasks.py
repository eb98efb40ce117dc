"""The tasks: thin, without arguments that matter, safe to run twice or never. Flower shows jobs, and not these.

What they need is loaded by whoever runs them: not by a parent of children, which is back the sooner without it.
"""

from __future__ import annotations

from typing import Any

from celery.signals import worker_process_init

from core import broker
from workers.app import app
from workers.ticks import Pace

_SWEEPS = Pace(1.0)


@worker_process_init.connect
def _get_ready(**_: Any) -> None:
    """A child has all it needs before it is given work."""
    from workers import resources

    resources.drainer()


@app.task(name=broker.WAKE, bind=True, send_events=False)
def wake(self: Any, pool: str) -> int:
    """Look whether `pool` has work; returns how many jobs were settled."""
    from workers import resources

    return resources.drainer().drain(pool, self.request.id)


@app.task(name=broker.DELIVER, send_events=False)
def deliver(_: str) -> int:
    """Call whoever is owed a call; returns how many calls were settled."""
    from workers import resources

    return resources.courier().drain()


@app.task(name="coatcheck.sweep", send_events=False)
def sweep_jobs() -> str:
    """Rescue, expire, forget and wake; returns what was found. Ticks that piled up while nobody swept are one sweep."""
    if not _SWEEPS.begin():
        return "just swept"
    from jobs import sweep
    from workers import resources

    worker = resources.drainer()
    settings, store = worker.settings, worker.attempts.store
    found = sweep.sweep(
        worker.engine, worker.hints, store, max_losses=settings.max_losses, schedule=settings.webhook_schedule
    )
    resources.rest().tell(worker.engine)
    return str(found)
