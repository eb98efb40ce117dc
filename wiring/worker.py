"""What a worker's processes are made of: those that run jobs, and those that call receivers and do the chores."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy

from core.board import Board
from core.chores import Chore
from core.settings import Settings
from jobs.attempt import Attempts
from jobs.chores import of_jobs
from jobs.drain import Drainer
from jobs.kinds.kind import Tools
from jobs.lease import Leases
from jobs.presence import Presence
from jobs.shown import Rest
from webhooks.chores import of_webhooks
from webhooks.courier import Courier
from webhooks.sender import Sender
from wiring.base import Limits, part
from wiring.parts import Parts


class Worker(Parts):
    """One process of a worker, which `presence` names."""

    def __init__(
        self,
        settings: Settings,
        presence: Presence,
        *,
        asked_to_stop: Callable[[], bool],
    ) -> None:
        # As many as it takes where every chore is done at once.
        super().__init__(settings, application="coatcheck-worker", limits=Limits(connections=6))
        self.provider = settings.models.provider
        self.presence = presence
        self.asked_to_stop = asked_to_stop

    @part
    def heart(self) -> sqlalchemy.Engine:
        """A lease is renewed however many connections the jobs have."""
        return self.connections(1, "coatcheck-heart")

    @part
    def board(self) -> Board:
        """Sends what Flower shows from the moment that it is asked for."""
        made = Board(self.settings.queue.redis_url)
        made.start()
        return made

    @part
    def leases(self) -> Leases:
        """Beat from the moment that they are asked for."""
        made = Leases(
            self.heart,
            lease_s=self.settings.jobs.lease_s,
            heartbeat_s=self.settings.jobs.heartbeat_s,
            grace_s=self.settings.jobs.grace_s,
            asked_to_stop=self.asked_to_stop,
        )
        made.start()
        return made

    @part
    def attempts(self) -> Attempts:
        limit = self.settings.files.max_unpacked_bytes
        tools = Tools(self.engine, self.store, self.shelf, self.sources, max_unpacked_bytes=limit)
        return Attempts(self.catalog, tools)

    @part
    def drainer(self) -> Drainer:
        """Runs jobs."""
        return Drainer(
            self.engine,
            self.hints,
            self.leases,
            self.attempts,
            self.presence,
            self.board,
            slice_s=self.settings.queue.slice_s,
            lease_s=self.settings.jobs.lease_s,
        )

    def get_ready(self) -> None:
        """Make what jobs need before there is one."""
        _ = self.drainer

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
            Chore("show jobs", 2, lambda: rest.tell(self.engine)),
        ]
