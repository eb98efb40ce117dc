"""The tasks: thin, without arguments that matter, safe to run twice or never."""

from __future__ import annotations

from typing import Any

from core import broker
from jobs import sweep
from workers import resources
from workers.app import app


@app.task(name=broker.WAKE, bind=True)
def wake(self: Any, pool: str) -> int:
    """Look whether `pool` has work; returns how many jobs were settled."""
    return resources.drainer().drain(pool, self.request.id)


@app.task(name=broker.DELIVER)
def deliver(_: str) -> int:
    """Call whoever is owed a call; returns how many calls were settled."""
    return resources.courier().drain()


@app.task(name="coatcheck.sweep")
def sweep_jobs() -> str:
    """Rescue, expire, forget and wake; returns what was found. Ticks that piled up while nobody swept are one sweep."""
    worker = resources.drainer()
    if not worker.hints.first_in("sweep", 1.0):
        return "just swept"
    settings, store = worker.settings, worker.attempts.store
    found = sweep.sweep(
        worker.engine, worker.hints, store, max_losses=settings.max_losses, schedule=settings.webhook_schedule
    )
    return str(found)
