"""The API as it is run: behind its real server, with the threads that its settings ask for."""

from __future__ import annotations

import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import flask
import flask.testing
import pytest

from access import keys
from inference import bundle
from local import platform_processes
from local.child import Child, Program
from local.state import held_port
from tests import callers, graphs
from tests.api.administrator import Administrator
from tests.conftest import ROOT, Platform, until


@pytest.fixture
def client(platform: Platform, app: flask.Flask) -> flask.testing.FlaskClient:
    """A caller of a tenant of its own, who may use every route of v1."""
    found = app.test_client()
    key = callers.key(platform, scopes=keys.SCOPES)
    found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    return found


@pytest.fixture
def admin(platform: Platform, app: flask.Flask) -> Administrator:
    """Who administers, and may do nothing else."""
    return Administrator(app, callers.key(platform, scopes={keys.ADMIN}).token)


@dataclass(frozen=True)
class Server:
    """One API process, with places for 16 waits, 16 streams, 8 predictions and 32 other requests."""

    port: int

    def connect(self, head: str, body: bytes = b"") -> socket.socket:
        """A connection on which this was sent; what is missing of a request ends in a blank line."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        made.sendall(head.encode("latin-1") + b"\r\n" + body)
        return made

    def ask(self, head: str, body: bytes = b"") -> bytes:
        """All that the server says until it hangs up."""
        with self.connect(f"{head}Connection: close\r\n", body) as connection:
            return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.fixture(scope="session")
def server(platform: Platform) -> Iterator[Server]:
    port = held_port()
    arguments = (sys.executable, "-m", "cli.main", "serve", "--port", str(port))
    places = {"MAX_WAITERS": "16", "MAX_STREAMS": "16", "REQUEST_THREADS": "32", "MAX_PREDICTIONS": "8"}
    env = {**os.environ, **{f"COATCHECK_{name}": number for name, number in places.items()}}
    program = Program("api", arguments, env, stop=signal.SIGTERM, grace_s=5)
    child = Child(program, platform.engines.folder / "api-server.log", ROOT)
    until(lambda: platform_processes.answers(f"http://127.0.0.1:{port}/ready"))
    yield Server(port)
    child.stop()


@pytest.fixture(scope="module")
def failing(platform: Platform, app: flask.Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model of x and y that has no answer where one is negative; it is gone with the tests that use it."""
    name, folder = f"m{uuid.uuid4().hex}", tmp_path_factory.mktemp("failing") / "own"
    graph = graphs.graph("roots = Sqrt(features) probabilities = Softmax <axis = 1> (roots)")
    golden = [{"inputs": {"x": 2, "y": 1}, "prediction": "a", "confidence": 0.6021}]
    platform.catalog.publish(bundle.load(graphs.bundle(folder, graph, name=name, golden=golden)))
    known = app.extensions["coatcheck"].catalog
    until(lambda: name in {item.model for item in known.versions()})
    yield name
    platform.execute("DELETE FROM model_versions WHERE model = :name", name=name)
    platform.execute("DELETE FROM models WHERE name = :name", name=name)
    until(lambda: name not in {item.model for catalog in (known, platform.catalog) for item in catalog.versions()})
