"""What every door to the platform is made of, and no worker: who comes in, and what they may ask for."""

from __future__ import annotations

from typing import Any

from core import errors, metrics
from core.cached import Cached
from inference import threads
from jobs.submit import Submitter
from serving.cache import Cache
from serving.places import Places
from serving.readiness import Probe
from serving.serving import Serving
from serving.turns import Turns
from storage.objects import Store
from wiring.access import Access
from wiring.base import Limits, part
from wiring.parts import Parts

#: What a tenant may have of the places for waiting and for streams, and of those for requests.
PART, PART_OF_REQUESTS = 0.25, 0.75
#: Of a process that answers requests: what one statement, and one answer of the store, may take of a request's time.
QUICK = Limits(connections=16, statement_s=10.0, store_s=5.0, store_attempts=2)
#: The same of a probe's, which only wants to know who is there.
PROBE_S = 2.0
#: For so long an answer to a probe is good.
FRESH_S = 1.0


class Door(Access, Parts):
    """What is served, and to whom."""

    @part
    def requests(self) -> Places:
        """Of those with a key, from before they are read until they are answered."""
        total, own_limit = self.settings.api.request_threads, errors.TooManyRequests
        return Places("requests in flight", total, PART_OF_REQUESTS, metrics.IN_FLIGHT, own_limit=own_limit)

    @part
    def predictions(self) -> Turns:
        """The same of requests to predict, until it is known that they wait for a job."""
        total = self.settings.api.max_predictions or threads.available()
        return Turns(total, PART_OF_REQUESTS, metrics.PREDICTIONS, metrics.PREDICTIONS_KEPT)

    @part
    def waiters(self) -> Places:
        """Of requests that wait for a job."""
        return Places("waiting requests", self.settings.api.max_waiters, PART, metrics.WAITERS)

    @part
    def readiness(self) -> Cached[dict[str, Any]]:
        """Of this process, and of who runs what it accepts."""
        store = Store(self.settings.storage, read_s=PROBE_S, attempts=1)
        probe = Probe(self.engine, self.clock, self.submitter, self.catalog, self.shelf, self.line, store)
        return Cached(probe.check, FRESH_S)

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
