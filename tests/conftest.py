"""One real platform for the whole run: the engines, migrated, with the shipped bundles published."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import flask.testing
import psycopg
import pytest
import sqlalchemy
from sqlalchemy import text

# Engines are started in a namespace that only a process of one thread can make, and what gRPC does after a fork begins
# more. Before it is imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import api
from access import keys
from core import broker, database, settings
from core.board import Board
from core.processors import Processors
from core.settings import Settings
from inference import bundle
from jobs import kinds, submit
from jobs.drain import Drainer
from jobs.finish import Finisher
from jobs.lease import Leases
from jobs.presence import Presence
from jobs.shadows.slack import Slack
from local.child import Child, Program
from tests import engines
from tests.engines import ROOT, Engines, until
from tests.window import Window, opened
from wiring.base import part
from wiring.door import Door
from wiring.worker import Worker

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Platform(Worker, Door):
    """Engines, and every part of the product, as a worker and as a door has them."""

    def __init__(self, engines: Engines, settings: Settings) -> None:
        super().__init__(settings, Presence("n/i/1"), asked_to_stop=lambda: False)
        self.engines = engines
        #: Others of this process, each with a ledger of its own.
        self.doors: list[Door] = []

    @part
    def admin(self) -> sqlalchemy.Engine:
        """As the superuser, for what a test does by hand."""
        return database.create_engine(self.engines.superuser_url)

    def new_tenant(self, tier: str = "pro") -> tuple[keys.Caller, str]:
        key = keys.create(self.engine, tenant=f"t-{uuid.uuid4()}", name="test", scopes=keys.CLIENT, tier=tier)
        return keys.Keyring(self.engine).verify(key), key

    def one(self, sql: str, **parameters: object) -> sqlalchemy.Row[*tuple[Any, ...]]:
        with self.admin.begin() as connection:
            return connection.execute(text(sql), parameters).one()

    def rows(self, sql: str, **parameters: object) -> list[Any]:
        with self.admin.begin() as connection:
            return list(connection.execute(text(sql), parameters))

    def execute(self, sql: str, **parameters: object) -> None:
        with self.admin.begin() as connection:
            connection.execute(text(sql), parameters)

    def truncate(self, tables: str) -> None:
        with self.admin.begin() as connection:
            truncate(connection, tables)


def truncate(connection: sqlalchemy.Connection, tables: str) -> None:
    """Empty tables that others may be reading.

    It asks for one lock after the other, as they do, in another order: who lets go first has no deadlock, and no
    statement of the platform's own is ended for one.
    """

    def tried() -> bool:
        try:
            with connection.begin_nested():
                connection.execute(text("SET LOCAL lock_timeout = '300ms'"))
                connection.execute(text(f"TRUNCATE {tables}"))
                connection.execute(text("SET LOCAL lock_timeout = 0"))
        except sqlalchemy.exc.OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            return False
        return True

    until(tried)


@pytest.fixture(scope="session")
def throwaway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    running = os.environ.get(engines.RUNNING)
    with engines.adopted(Path(running)) if running else engines.started(tmp_path_factory.mktemp("engines")) as found:
        yield found


def fill(platform: Platform) -> None:
    """Migrate, and publish the shipped bundles."""
    subprocess.run([sys.executable, "-m", "cli.main", "migrate"], cwd=ROOT, check=True, capture_output=True)
    platform.store.ensure_bucket()
    for folder in sorted(path.parent for path in (ROOT / "bundles").glob("*/model.yaml")):
        platform.catalog.publish(bundle.load(folder))


@pytest.fixture(scope="session")
def platform(throwaway: Engines) -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in throwaway.env.items():
            patch.setenv(name, value)
        patch.setenv("COATCHECK_LEASE_S", "2")
        patch.setenv("COATCHECK_HEARTBEAT_S", "0.5")
        # On a busy machine Redis may take longer, and what it counts is counted exactly here.
        patch.setattr(broker, "WAIT_S", 5.0)
        found = Platform(throwaway, settings.load())
        if not throwaway.filled:
            fill(found)
        yield found
        found.close()


@pytest.fixture(autouse=True)
def nobody_looks() -> Iterator[None]:
    """Connections are given back by who looks how callers behave, before anybody ends them."""
    yield
    until(lambda: "conduct" not in {thread.name for thread in threading.enumerate()})


@pytest.fixture
def client(platform: Platform, app: flask.Flask) -> flask.testing.FlaskClient:
    """A caller of a tenant of its own."""
    _, key = platform.new_tenant()
    found = app.test_client()
    found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return found


@pytest.fixture
def anonymous(app: flask.Flask) -> flask.testing.FlaskClient:
    return app.test_client()


@pytest.fixture
def today() -> dt.date:
    """The day it is and will be for another minute: what is done on it is also asked for on it."""

    def settled() -> dt.date | None:
        now, later = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes) for minutes in (0, 1))
        return now.date() if now.date() == later.date() else None

    return until(settled)


@pytest.fixture(scope="session")
def app(platform: Platform) -> Iterator[flask.Flask]:
    made = api.create_app(platform.settings)
    platform.doors.append(made.extensions["coatcheck"])
    yield made
    made.extensions["coatcheck"].close()


@pytest.fixture
def quiet(platform: Platform) -> None:
    """No jobs but the test's own, and a Redis that is known to be there, which an earlier test may have stopped."""
    until(lambda: not platform.line.away)
    for door in platform.doors:
        # What an earlier test was answered would come to the books in the middle of this one.
        door.ledger.flush()
    tables = "jobs, job_results, feedback, shadow_copies, usage, job_events, workers, chores, idempotency_keys"
    platform.truncate(tables)


@pytest.fixture
def new_job(platform: Platform) -> Callable[..., uuid.UUID]:
    """Submit a sentiment job; keywords override any field."""
    caller, _ = platform.new_tenant()

    def make(*, kind: str = "predict", **overrides: object) -> uuid.UUID:
        fields: dict[str, object] = {
            "caller": caller, "timeout_s": 300, "pool": "cpu", "model":
            "sentiment", "version": "1.0.0",
            "inputs": {"text": "Lovely", "language": "en", "confidence_threshold": 0.0},
            "options": {}, "metadata": {}, "request_id": "req_test", "ttl_s": 3600, "max_attempts": 4,
            "kind": kinds.find(kind),
        }  # fmt: skip
        new = submit.NewJob(**{**fields, **overrides})  # type: ignore[arg-type]
        platform.submitter.submit(new)
        return new.id

    return make


@pytest.fixture
def spawn(platform: Platform) -> Iterator[Callable[..., Child]]:
    """Start a process of the platform; all are ended with the test."""
    started: list[Child] = []

    def start(name: str, *arguments: str, **env: str) -> Child:
        environment = {**os.environ, **env}
        program = Program(name, (sys.executable, "-m", *arguments), environment, stop=signal.SIGTERM, grace_s=5)
        started.append(Child(program, platform.engines.folder / f"{name}-{len(started)}.log", ROOT))
        return started[-1]

    yield start
    for child in started:
        child.stop()


@pytest.fixture
def drainer(platform: Platform, quiet: None) -> Iterator[Drainer]:
    leases = Leases(platform.engine, lease_s=60, heartbeat_s=1, grace_s=1, asked_to_stop=lambda: False)
    leases.start()
    shared, board = (
        (platform.engine, platform.hints, leases, platform.attempts),
        Board(platform.settings.queue.redis_url),
    )
    lease_s, slice_s = platform.settings.jobs.lease_s, platform.settings.queue.slice_s
    finisher = Finisher(*shared, board, platform.presence.name, lease_s, platform.witness)
    # However busy the machine is that tests run on.
    idle = Processors(Path("/nowhere"))
    slack = Slack(platform.engine, platform.catalog, platform.shelf, platform.hints, idle)
    yield Drainer(*shared, finisher, platform.presence, board, slack, slice_s=slice_s, lease_s=lease_s)
    leases.close()


@pytest.fixture
def shown(platform: Platform) -> Iterator[Window]:
    """A Flower that is there from the beginning."""
    with opened(platform.settings, until) as found:
        yield found
