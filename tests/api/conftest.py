"""The API as it is run: behind its real server, with the threads that its settings ask for."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from local import platform_processes
from local.child import Child, Program
from local.state import free_port
from tests.conftest import ROOT, Platform, until


@dataclass(frozen=True)
class Server:
    """One API process, with places for 16 waits, 16 streams and 32 other requests."""

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
    port = free_port()
    arguments = (sys.executable, "-m", "cli.main", "serve", "--port", str(port))
    places = {"COATCHECK_MAX_WAITERS": "16", "COATCHECK_MAX_STREAMS": "16", "COATCHECK_REQUEST_THREADS": "32"}
    program = Program("api", arguments, {**os.environ, **places}, stop=signal.SIGTERM, grace_s=5)
    child = Child(program, platform.engines.folder / "api-server.log", ROOT)
    until(lambda: platform_processes.answers(f"http://127.0.0.1:{port}/ready"))
    yield Server(port)
    child.stop()
