"""What every door to the platform is made of, and no worker: who comes in, and what they may ask for."""

from __future__ import annotations

from jobs.submit import Submitter
from serving.cache import Cache
from serving.serving import Serving
from wiring.access import Access
from wiring.base import part
from wiring.parts import Parts


class Door(Access, Parts):
    """What is served, and to whom."""

    @part
    def submitter(self) -> Submitter:
        return Submitter(self.engine, self.line, self.hints, self.seal)

    @part
    def cache(self) -> Cache | None:
        found = self.settings.cache
        return Cache(found.cache_mb << 20, found.cache_s) if found.cache_mb else None

    @part
    def serving(self) -> Serving:
        return Serving(
            self.settings,
            self.engine,
            self.catalog,
            self.shelf,
            self.submitter,
            self.hints,
            self.store,
            self.fetcher,
            self.seal,
            self.receivers,
            self.clock,
            self.gate,
            self.shadows,
            self.witness,
            self.cache,
        )
