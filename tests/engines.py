"""The throw-away engines of a test run: its own, or a set that somebody keeps running for one run after the other."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import engines, state
from local.child import Child, Program, start_time, tree
from local.engine import Engine

ROOT = Path(__file__).resolve().parent.parent
#: Ports of this machine that webhooks may call; at most so many receivers at once in one test.
RECEIVERS = 48
#: In the environment, and without our prefix as it is no setting: the folder of engines that are kept running.
RUNNING = "TEST_ENGINES"


def until(condition: Callable[[], object], timeout_s: float = 120.0) -> Any:
    """Wait for a condition and return what it gave; it ends long after any busy machine."""
    ends_at = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < ends_at, "condition not met in time"
        time.sleep(0.02)
    return found


@dataclass(frozen=True)
class Adopted:
    """An engine that another process started."""

    pid: int
    program: Program

    def stop(self) -> None:
        everyone = tree(self.pid)
        os.kill(self.pid, self.program.stop)
        with contextlib.suppress(AssertionError):
            until(lambda: start_time(self.pid) is None, self.program.grace_s)
        for pid in everyone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Engines:
    """The throw-away engines, which a test may stop and start again."""

    folder: Path
    state: state.State
    env: dict[str, str]
    running: dict[str, Child | Adopted]
    known: dict[str, Engine]

    @property
    def superuser_url(self) -> str:
        return self.state.superuser_url

    @property
    def filled(self) -> bool:
        """Whether the tables and the shipped bundles are there already."""
        return (self.folder / "filled").exists()

    def start(self, name: str) -> None:
        engine = self.known[name]
        self.running[name] = Child(engine.program, self.folder / f"{name}.log", self.folder)
        until(engine.ready)

    def stop(self, name: str) -> None:
        self.running[name].stop()


def _laid_out(folder: Path) -> Engines:
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    made = state.load(folder / ".coatcheck")
    receivers = [state.held_port() for _ in range(RECEIVERS)]
    ours = {
        "COATCHECK_SECRET_KEY": "k" * 32,
        # All tests come from one address, and are wrong on purpose.
        "COATCHECK_MAX_ERRORS": "0",
        "COATCHECK_DEFAULT_MODEL": "sentiment",
        "COATCHECK_INPUT_PRIVATE_BUCKETS": f"{made.urls({})['S3_ENDPOINT_URL']}/inbox",
        "COATCHECK_WEBHOOK_LOOPBACK": ",".join(map(str, receivers)),
    }
    env = {**environ, **made.urls({}), **ours, "COATCHECK_MODEL_CACHE": str(folder / "models"), "PYTHONPATH": str(ROOT)}
    known = {engine.program.name: engine for engine in engines.embedded(made, env, environ)}
    return Engines(folder, made, env, {}, known)


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Engines]:
    """Engines of one's own in this folder, ended with the block."""
    made = state.load(folder / ".coatcheck")
    made.ports["api"] = state.free_port(made.ports.values())
    state.hold_ports(made)
    found = _laid_out(folder)
    try:
        for name, engine in found.known.items():
            engine.prepare()
            found.running[name] = Child(engine.program, folder / f"{name}.log", folder)
        for engine in found.known.values():
            until(engine.ready)
        engines.ensure_roles(found.state)
        yield found
    finally:
        for child in found.running.values():
            child.stop()


@contextlib.contextmanager
def adopted(folder: Path) -> Iterator[Engines]:
    """The engines that run in this folder; what the block starts anew ends with it."""
    found = _laid_out(folder)
    for name, pid in json.loads((folder / "pids.json").read_text()).items():
        found.running[name] = Adopted(pid, found.known[name].program)
    try:
        yield found
    finally:
        for child in found.running.values():
            if isinstance(child, Child):
                child.stop()
