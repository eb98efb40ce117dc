"""What the API and the workers are made of."""

from __future__ import annotations

import sqlalchemy

from core.clock import Clock
from core.seal import Seal
from inference.device import CPU
from jobs.shadows.buffer import Buffer
from jobs.source import Sources
from registry.catalog import Catalog
from registry.judging.witness import Witness
from registry.shelf import Shelf
from storage.fetch import Fetcher
from storage.objects import Store
from webhooks.receivers import Receivers
from wiring.base import Base, part


class Parts(Base):
    """Files, models and webhooks, beside the engines."""

    #: What models run on here.
    device = CPU

    def close(self) -> None:
        """First wait for what writes by itself."""
        if "witness" in vars(self):
            self.witness.close()
        super().close()

    @part
    def clock(self) -> Clock:
        return Clock(self.engine)

    @part
    def seal(self) -> Seal:
        return Seal(self.settings.sealing)

    @part
    def store(self) -> Store:
        return Store(self.settings.storage, read_s=self.limits.store_s, attempts=self.limits.store_attempts)

    @part
    def fetcher(self) -> Fetcher:
        return Fetcher(self.settings)

    @part
    def sources(self) -> Sources:
        return Sources(self.store, self.fetcher, self.seal)

    @part
    def catalog(self) -> Catalog:
        return Catalog(self.engine, self.store, self.settings.models.default_model)

    @part
    def witness(self) -> Witness:
        """Sees what becomes of canaries, and writes by itself, in a thread of its own."""
        return Witness(self.engine, self.catalog, self.clock)

    @part
    def shelf(self) -> Shelf:
        models = self.settings.models
        return Shelf(
            self.store,
            models.model_cache,
            device=self.device,
            threads=models.onnx_threads,
            memory_mb=models.model_memory_mb,
        )

    @part
    def aside(self) -> sqlalchemy.Engine:
        """What shadows are to be asked is stored by a connection that nobody else waits for."""
        return self.connections(1, "coatcheck-shadows")

    @part
    def shadows(self) -> Buffer:
        return Buffer(self.aside, self.hints)

    @part
    def receivers(self) -> Receivers:
        return Receivers(self.settings)
