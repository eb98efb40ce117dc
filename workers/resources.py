"""What one worker process needs, made at its first task: never at import, never before the spawn."""

from __future__ import annotations

import functools
import os
import threading

from core import broker, database, settings
from core.board import Board
from core.chores import Chore
from core.seal import Seal
from jobs.attempt import Attempts
from jobs.chores import of_jobs
from jobs.drain import Drainer
from jobs.lease import Leases
from jobs.shown import Rest
from jobs.source import Sources
from registry.catalog import Catalog
from storage.fetch import Fetcher
from storage.objects import Store
from webhooks.chores import of_webhooks
from webhooks.courier import Courier
from workers import node, signs
from workers.upkeep import Upkeep

_making = threading.Lock()


def drainer() -> Drainer:
    """The process's only drainer, with its heartbeat running."""
    with _making:
        return _drainer()


def courier() -> Courier:
    """The process's only courier."""
    with _making:
        return _courier()


def upkeep() -> Upkeep:
    """The process's only one."""
    with _making:
        return _upkeep()


@functools.cache
def _courier() -> Courier:
    values = settings.load()
    engine = database.create_engine(values.database_url, pool_size=2, application=f"coatcheck-courier {os.getpid()}")
    hints = broker.Hints(values, broker.Line(values))
    return Courier(values, engine, hints, worker=signs.mine().name, asked_to_stop=node.asked_to_stop)


@functools.cache
def _drainer() -> Drainer:
    values = settings.load()
    engine = database.create_engine(values.database_url, pool_size=2, application=f"coatcheck-worker {os.getpid()}")
    heart = database.create_engine(values.database_url, pool_size=1, application=f"coatcheck-heart {os.getpid()}")
    leases = Leases(
        heart,
        lease_s=values.lease_s,
        heartbeat_s=values.heartbeat_s,
        grace_s=values.grace_s,
        asked_to_stop=node.asked_to_stop,
    )
    leases.start()
    store = Store(values)
    catalog = Catalog(engine, store, values.model_cache, provider=values.provider, threads=values.onnx_threads)
    attempts = Attempts(values, engine, store, catalog, Sources(store, Fetcher(values), Seal(values)))
    hints, board = broker.Hints(values, broker.Line(values)), Board(values)
    board.start()
    return Drainer(values, engine, hints, leases, attempts, signs.mine(), board)


@functools.cache
def _upkeep() -> Upkeep:
    values = settings.load()
    engine = database.create_engine(values.database_url, pool_size=4, application=f"coatcheck-upkeep {os.getpid()}")
    hints, board = broker.Hints(values, broker.Line(values)), Board(values)
    board.start()
    rest = Rest(board, signs.mine().name)
    todo = [
        *of_jobs(engine, hints, Store(values), max_losses=values.max_losses),
        *of_webhooks(engine, hints, values.webhook_schedule),
        Chore("show jobs", 2, lambda: rest.tell(engine)),
    ]
    return Upkeep(engine, todo)
