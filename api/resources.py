"""What one API process owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flask
import sqlalchemy

from access.keys import Keyring
from api import readiness
from api.cached import Cached
from api.places import Places
from core import broker, database, errors, metrics
from core.clock import Clock
from core.seal import Seal
from core.settings import Settings
from inference.interrupt import Watch
from jobs import figures
from jobs.submit import Submitter
from registry.catalog import Catalog
from storage.fetch import Fetcher
from storage.objects import Store
from webhooks.receivers import Receivers

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


@dataclass(frozen=True)
class Resources:
    """Made once per process; everything in it may be shared by threads."""

    settings: Settings
    engine: sqlalchemy.Engine
    store: Store
    fetcher: Fetcher
    seal: Seal
    catalog: Catalog
    watch: Watch  #: over inline runs
    clock: Clock
    keyring: Keyring
    line: broker.Line
    hints: broker.Hints
    receivers: Receivers
    submitter: Submitter
    requests: Places  #: of those with a key, from before the body is read until they are answered
    waiters: Places  #: of requests that wait for a job
    streams: Places  #: of open event streams
    readiness: Cached[dict[str, Any]]
    figures: Cached[figures.Figures]
    takes_files: Cached[None]  #: whether the store does


def make(settings: Settings) -> Resources:
    engine = database.create_engine(
        settings.database_url, pool_size=16, application="coatcheck-api", statement_s=STATEMENT_S
    )
    store = Store(settings, read_s=STORE_S, attempts=2)
    catalog = Catalog(engine, store, settings.model_cache, threads=settings.onnx_threads)
    clock, line = Clock(engine), broker.Line(settings)
    hints = broker.Hints(settings, line)
    seal = Seal(settings)
    submitter = Submitter(engine, line, hints, seal)
    probe = readiness.Probe(engine, clock, submitter, catalog, line, Store(settings, read_s=PROBE_S, attempts=1))
    return Resources(
        settings,
        engine,
        store,
        Fetcher(settings),
        seal,
        catalog,
        Watch(),
        clock,
        Keyring(engine),
        line,
        hints,
        Receivers(settings),
        submitter,
        requests=Places(
            "requests in flight",
            settings.request_threads,
            PART_OF_REQUESTS,
            metrics.IN_FLIGHT,
            own_limit=errors.TooManyRequests,
        ),
        waiters=Places("waiting requests", settings.max_waiters, PART, metrics.WAITERS),
        streams=Places("open event streams", settings.max_streams, PART, metrics.STREAMS),
        readiness=Cached(probe.check, FRESH_S),
        figures=Cached(lambda: figures.read(engine), FIGURES_S),
        takes_files=Cached(store.check_takes, TAKES_S),
    )


def here() -> Resources:
    """The resources of the app that is answering."""
    found: Resources = flask.current_app.extensions["coatcheck"]
    return found
