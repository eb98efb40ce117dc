"""What this worker process owns, made at its first task: never at import, never before the spawn."""

from __future__ import annotations

from core import settings
from wiring.base import Lazy, part
from wiring.worker import Worker
from workers import node, signs
from workers.upkeep import Upkeep


class Process(Lazy):
    """One that runs tasks."""

    @part
    def worker(self) -> Worker:
        return Worker(settings.load(), signs.mine(), asked_to_stop=node.asked_to_stop)

    @part
    def upkeep(self) -> Upkeep:
        return Upkeep(self.worker.engine, self.worker.chores, asked_to_stop=node.asked_to_stop)


#: Tasks are functions that Celery calls, and have nowhere else to keep it.
mine = Process()
