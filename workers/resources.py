"""What one worker process needs, made at its first task: never at import, never before the spawn."""

from __future__ import annotations

import functools
import os
import socket
import threading

from core import broker, database, settings
from jobs.drain import Drainer
from jobs.lease import Leases
from registry.catalog import Catalog
from storage.objects import Store

_making = threading.Lock()


def drainer() -> Drainer:
    """The process's only drainer, with its heartbeat running."""
    with _making:
        return _drainer()


@functools.cache
def _drainer() -> Drainer:
    values = settings.load()
    name = f"{socket.gethostname()}:{os.getpid()}"
    engine = database.create_engine(values.database_url, pool_size=2, application=f"coatcheck-worker {os.getpid()}")
    heart = database.create_engine(values.database_url, pool_size=1, application=f"coatcheck-heart {os.getpid()}")
    leases = Leases(heart, lease_s=values.lease_s, heartbeat_s=values.heartbeat_s)
    leases.start()
    catalog = Catalog(engine, Store(values), values.model_cache, provider=values.provider, threads=values.onnx_threads)
    return Drainer(name, values, engine, broker.Hints(values), leases, catalog)
