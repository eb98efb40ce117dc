"""A front door that is opened for a test, and what a start changes of this process."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.setting_doors import Http
from local import proxy
from local.child import Child
from local.state import held_port
from tests.conftest import until
from tests.local.front import LIMITS, Behind, Door


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    started: list[Child] = []
    listeners: list[Behind] = []

    def start(limits: Http = LIMITS, *, behind: bool = True) -> Door:
        ports: list[int] = []
        while len(ports) < 3:
            ports.append(held_port(ports))
        listens = [f"127.0.0.1:{port}" for port in ports]
        doors = proxy.Doors(listens[0], listens[1], listens[2], api="unix:api.sock", flower="unix:api.sock")
        api = Behind(tmp_path)
        api.go.set()
        if behind:
            listeners.append(api)
            threading.Thread(target=api.serve, daemon=True).start()
            until((tmp_path / "api.sock").exists)
        program = proxy.program(tmp_path, doors, limits, flower_user="joe:open sesame", environ={})
        started.append(Child(program, tmp_path / "proxy.log", tmp_path))
        until(lambda: _listens(ports[0]))
        return Door(ports[0], ports[1], ports[2], api)

    yield start
    for item in started:
        item.kill()
    for listener in listeners:
        listener.go.set()
        listener.listener.close()


@pytest.fixture
def own_environ() -> Iterator[None]:
    """A start tells its own environment what it found."""
    before = dict(os.environ)
    for name in before.keys() - {"PATH", "HOME", "LANG"}:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def signals() -> Iterator[None]:
    """A start hears Ctrl-C itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
