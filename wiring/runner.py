"""What runs jobs in a worker's process."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy

from core.board import Board
from core.settings import Settings
from inference import device
from jobs.attempt import Attempts
from jobs.drain import Drainer
from jobs.finish import Finisher
from jobs.kinds.kind import Tools
from jobs.lease import Leases
from jobs.presence import Presence
from jobs.shadows.slack import Slack
from wiring.base import Limits, part
from wiring.parts import Parts


class Runner(Parts):
    """Of one process, which `presence` names."""

    def __init__(
        self,
        settings: Settings,
        presence: Presence,
        *,
        asked_to_stop: Callable[[], bool],
    ) -> None:
        # As many as it takes where every chore is done at once.
        super().__init__(settings, application="coatcheck-worker", limits=Limits(connections=6))
        self.device = device.named(settings.models.provider, settings.models.gpu_memory_mb)
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
        self.presence.renewed_since = made.renewed_since
        return made

    @part
    def attempts(self) -> Attempts:
        tools = Tools(
            self.engine,
            self.store,
            self.catalog,
            self.shelf,
            self.sources,
            max_unpacked_bytes=self.settings.files.max_unpacked_bytes,
            limits=self.settings.api.limits,
            shadows=self.shadows,
        )
        return Attempts(tools)

    @part
    def drainer(self) -> Drainer:
        """Runs jobs."""
        shared = (self.engine, self.hints, self.leases, self.attempts)
        lease_s, slice_s = self.settings.jobs.lease_s, self.settings.queue.slice_s
        finisher = Finisher(*shared, self.board, self.presence.name, lease_s, self.witness)
        slack = Slack(self.engine, self.catalog, self.shelf, self.hints)
        return Drainer(*shared, finisher, self.presence, self.board, slack, slice_s=slice_s, lease_s=lease_s)

    def get_ready(self) -> None:
        """Make what jobs need before there is one, and load what runs them."""
        device.load()
        _ = self.drainer
