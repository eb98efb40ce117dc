"""What one API process owns."""

from __future__ import annotations

from typing import Any

import flask

from api import readiness
from api.cached import Cached
from api.places import Places
from api.turns import Turns
from core import errors, metrics
from core.settings import Settings
from inference import threads
from jobs import figures
from jobs.follower import Follower
from storage.objects import Store
from wiring.base import Limits, part
from wiring.door import Door

#: What a tenant may have of the places for waiting and for streams, and of those for requests.
PART, PART_OF_REQUESTS = 0.25, 0.75
#: What one statement, and one answer of the store, may take of a request's time.
STATEMENT_S, STORE_S = 10.0, 5.0
#: The same of a probe's, which only wants to know who is there.
PROBE_S = 2.0
#: For so long an answer to a probe or a scraper is good.
FRESH_S = 1.0
#: The same of what is counted row by row.
FIGURES_S = 5.0
#: And after the store took something, it is not tried again.
TAKES_S = 5.0


class Resources(Door):
    """Made once per process; everything in it may be shared by threads."""

    def __init__(self, settings: Settings) -> None:
        limits = Limits(connections=16, statement_s=STATEMENT_S, store_s=STORE_S, store_attempts=2)
        super().__init__(settings, application="coatcheck-api", limits=limits)
        #: Of those with a key, from before the body is read until they are answered.
        self.requests = Places(
            "requests in flight",
            settings.api.request_threads,
            PART_OF_REQUESTS,
            metrics.IN_FLIGHT,
            own_limit=errors.TooManyRequests,
        )
        #: The same of requests to predict, until it is known that they wait for a job.
        self.predictions = Turns(
            settings.api.max_predictions or threads.available(),
            PART_OF_REQUESTS,
            metrics.PREDICTIONS,
            metrics.PREDICTIONS_KEPT,
        )
        #: Of requests that wait for a job, and of open event streams.
        self.waiters = Places("waiting requests", settings.api.max_waiters, PART, metrics.WAITERS)
        self.streams = Places("open event streams", settings.api.max_streams, PART, metrics.STREAMS)

    @part
    def readiness(self) -> Cached[dict[str, Any]]:
        store = Store(self.settings.storage, read_s=PROBE_S, attempts=1)
        probe = readiness.Probe(self.engine, self.clock, self.submitter, self.catalog, self.shelf, self.line, store)
        return Cached(probe.check, FRESH_S)

    @part
    def figures(self) -> Cached[figures.Figures]:
        return Cached(lambda: figures.read(self.engine), FIGURES_S)

    @part
    def follower(self) -> Follower:
        """Of all event streams."""
        return Follower(self.engine)

    @part
    def takes_files(self) -> Cached[None]:
        """Whether the store does."""
        return Cached(self.store.check_takes, TAKES_S)


def here() -> Resources:
    """The resources of the app that is answering."""
    found: Resources = flask.current_app.extensions["coatcheck"]
    return found
