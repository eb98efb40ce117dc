"""What one API process owns."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import flask
import sqlalchemy

from access.keys import Keyring
from core import broker, database
from core.seal import Seal
from core.settings import Settings
from jobs.submit import Submitter
from registry.catalog import Catalog
from storage.fetch import Fetcher
from storage.objects import Store
from webhooks.receivers import Receivers


@dataclass(frozen=True)
class Resources:
    """Made once per process; everything in it may be shared by threads."""

    settings: Settings
    engine: sqlalchemy.Engine
    store: Store
    fetcher: Fetcher
    seal: Seal
    catalog: Catalog
    keyring: Keyring
    line: broker.Line
    hints: broker.Hints
    receivers: Receivers
    submitter: Submitter
    waiters: threading.Semaphore  #: a place for each request that may wait for a job
    streams: threading.Semaphore  #: a place for each open event stream


def make(settings: Settings) -> Resources:
    engine = database.create_engine(settings.database_url, pool_size=16, application="coatcheck-api")
    store = Store(settings)
    catalog = Catalog(engine, store, settings.model_cache, threads=settings.onnx_threads)
    line = broker.Line(settings)
    hints = broker.Hints(settings, line)
    return Resources(
        settings,
        engine,
        store,
        Fetcher(settings),
        Seal(settings),
        catalog,
        Keyring(engine),
        line,
        hints,
        Receivers(settings),
        Submitter(engine, line, hints),
        waiters=threading.Semaphore(settings.max_waiters),
        streams=threading.Semaphore(settings.max_streams),
    )


def here() -> Resources:
    """The resources of the app that is answering."""
    found: Resources = flask.current_app.extensions["coatcheck"]
    return found
