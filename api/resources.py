"""What one API process owns."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import flask
import sqlalchemy

from access.keys import Keyring
from core import broker, database
from core.settings import Settings
from registry.catalog import Catalog
from storage.objects import Store


@dataclass(frozen=True)
class Resources:
    """Made once per process; everything in it may be shared by threads."""

    settings: Settings
    engine: sqlalchemy.Engine
    hints: broker.Hints
    store: Store
    catalog: Catalog
    keyring: Keyring
    waiters: threading.Semaphore  #: a place for each request that may wait for a job


def make(settings: Settings) -> Resources:
    engine = database.create_engine(settings.database_url, pool_size=16, application="coatcheck-api")
    store = Store(settings)
    catalog = Catalog(engine, store, settings.model_cache, threads=settings.onnx_threads)
    waiters = threading.Semaphore(settings.max_waiters)
    return Resources(settings, engine, broker.Hints(settings), store, catalog, Keyring(engine), waiters)


def here() -> Resources:
    """The resources of the app that is answering."""
    found: Resources = flask.current_app.extensions["coatcheck"]
    return found
