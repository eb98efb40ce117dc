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


@app.task(name="coatcheck.sweep")
def sweep_jobs() -> str:
    """Rescue, expire, forget and wake; returns what was found. Ticks that piled up while nobody swept are one sweep."""
    worker = resources.drainer()
    if not worker.hints.first_in("sweep", 1.0):
        return "just swept"
    return str(sweep.sweep(worker.engine, worker.hints, worker.attempts.store, max_losses=worker.settings.max_losses))
