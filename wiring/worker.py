"""What a worker's processes are made of: what runs jobs, and what calls receivers and does the chores."""

from __future__ import annotations

from access.chores import of_access
from core.chores import Chore
from jobs.chores import of_jobs
from jobs.shown import Rest
from webhooks.chores import of_webhooks
from webhooks.courier import Courier
from webhooks.sender import Sender
from wiring.base import part
from wiring.runner import Runner


class Worker(Runner):
    """One process of a worker; it makes what it is asked for, whichever of the two it does."""

    @part
    def courier(self) -> Courier:
        """Calls receivers."""
        return Courier(
            self.settings.webhooks,
            self.engine,
            self.hints,
            Sender(self.settings.webhooks, self.seal, self.receivers),
            worker=self.presence.name,
            asked_to_stop=self.asked_to_stop,
        )

    @part
    def chores(self) -> list[Chore]:
        """Everything that is to be done again and again, of all rooms."""
        rest = Rest(self.board, self.presence.name)
        return [
            *of_jobs(self.engine, self.hints, self.store, max_losses=self.settings.jobs.max_losses),
            *of_webhooks(self.engine, self.hints, self.settings.webhooks.schedule),
            *of_access(
                self.engine,
                max_errors=self.settings.api.max_errors,
                keep_days=self.settings.jobs.usage_keep_days,
            ),
            Chore("show jobs", 2, lambda: rest.tell(self.engine)),
        ]
