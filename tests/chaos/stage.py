"""The platform as it runs in production, on throw-away engines behind fault proxies, each process restarted when it
dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests
import sqlalchemy

from core import database
from local import engines, platform_processes, state
from local.child import Child, Program
from tests.chaos.proxy import Proxy
from tests.chaos.receiver import Receiver
from tests.chaos.sabotage import sabotaged
from tests.chaos.truth import SHIPPED

ROOT = Path(__file__).resolve().parent.parent.parent
#: A process that died is started again after this long, as a supervisor would.
RESTART_S = 0.5
#: As many attempts as in production, in seconds instead of days.
SCHEDULE = "0,0.5,1,1,2,2,3,3,5,5"


@dataclass
class Stage:
    """Everything on it belongs to the thread that made it: children die with that thread."""

    folder: Path
    url: str
    key: str
    env: dict[str, str]
    postgres: Proxy
    redis: Proxy
    admin: sqlalchemy.Engine  #: straight to Postgres, past the proxy
    receiver: Receiver  #: of webhooks
    root: Path = ROOT  #: the project, or what a sabotage made of it
    children: dict[str, Child] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    started: int = 0
    _dead_since: dict[str, float] = field(default_factory=dict)

    def start(self, name: str) -> None:
        self.started += 1
        self.children[name] = Child(self.programs[name], self.folder / "logs" / f"{name}.log", self.root)

    def tend(self) -> None:
        """Start again what has died, after RESTART_S."""
        for name in self.programs:
            if self.children[name].alive:
                self._dead_since.pop(name, None)
            elif time.monotonic() - self._dead_since.setdefault(name, time.monotonic()) > RESTART_S:
                # Nothing of the old one may be left, as with a container.
                self.children[name].kill()
                self.start(name)

    @property
    def whole(self) -> bool:
        """Whether everything runs that was started."""
        return all(child.alive for child in self.children.values())

    def kill(self, name: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.children[name].pid, signal.SIGKILL)

    def until(self, condition: Callable[[], object], timeout_s: float) -> None:
        ends_at = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < ends_at, "not in time"
            self.tend()
            time.sleep(0.05)


@contextlib.contextmanager
def built(
    folder: Path, *, lease_s: float, workers: int = 2, seed: int = 0, sabotages: Collection[str] = ()
) -> Iterator[Stage]:
    """Engines, proxies and processes, ready to take jobs."""
    root = sabotaged(folder / "sabotaged", sabotages)
    made = state.load(folder / ".coatcheck")
    made.ports["api"] = state.free_port(made.ports.values())
    state.hold_ports(made)
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    known = {item.program.name: item for item in engines.embedded(made, made.urls({}), environ)}
    receiver = Receiver(seed)
    postgres, redis, env = _environment(root, made, environ, lease_s, receiver.port)
    admin = database.create_engine(made.superuser_url, application="chaos")
    url = f"http://127.0.0.1:{made.ports['api']}"
    stage = Stage(folder, url, "", env, postgres, redis, admin, receiver, root)
    try:
        for name, engine in known.items():
            engine.prepare()
            stage.programs[name] = engine.program
            (folder / "logs").mkdir(exist_ok=True)
            stage.start(name)
        for engine in known.values():
            stage.until(engine.ready, 300)
        engines.ensure_roles(made)
        for arguments in (("migrate",), ("models", "push", *map(str, (shipped.folder for shipped in SHIPPED)))):
            subprocess.run(platform_processes.command(*arguments), env=env, cwd=root, check=True, capture_output=True)
        create = platform_processes.command("keys", "create", "--tier", "pro", "--name", "chaos")
        stage.key = subprocess.run(create, env=env, cwd=root, check=True, capture_output=True, text=True).stdout.strip()
        for program in _programs(made, env, workers):
            stage.programs[program.name] = program
            stage.start(program.name)
        stage.until(lambda: platform_processes.answers(stage.url + "/ready"), 300)
        _register(stage)
        yield stage
    finally:
        for name in reversed(list(stage.children)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(stage.children[name].pid, signal.SIGCONT)
            if name in known:
                stage.children[name].stop()
            else:
                stage.children[name].kill()
        admin.dispose()
        stage.receiver.close()
        postgres.close()
        redis.close()


def _register(stage: Stage) -> None:
    """Have the receiver called at the end of every job."""
    body = {
        "url": stage.receiver.url,
        "events": [f"job.{end}" for end in ("completed", "failed", "canceled", "expired")],
    }
    headers = {"Authorization": f"Bearer {stage.key}"}
    made = requests.post(f"{stage.url}/api/v1/webhooks", json=body, headers=headers, timeout=15)
    made.raise_for_status()
    stage.receiver.secret = made.json()["secret"]


def _environment(
    root: Path, made: state.State, environ: dict[str, str], lease_s: float, receiver_port: int
) -> tuple[Proxy, Proxy, dict[str, str]]:
    ports = {name: state.held_port() for name in ("postgres", "valkey", "api")}
    proxies = {name: Proxy(ports[name], made.ports[name]) for name in ("postgres", "valkey")}
    urls = made.urls({})
    for name, variable in (("postgres", "DATABASE_URL"), ("valkey", "REDIS_URL")):
        urls[variable] = urls[variable].replace(f":{made.ports[name]}/", f":{ports[name]}/")
    made.ports["api"] = ports["api"]
    env = platform_processes.environment(root, made, urls, environ)
    env |= {"COATCHECK_LEASE_S": str(lease_s), "COATCHECK_HEARTBEAT_S": str(lease_s / 4)}
    env["COATCHECK_WEBHOOK_SCHEDULE"] = SCHEDULE
    env["COATCHECK_WEBHOOK_LOOPBACK"] = str(receiver_port)
    return proxies["postgres"], proxies["valkey"], env


def _programs(made: state.State, env: dict[str, str], workers: int) -> list[Program]:
    early, late = platform_processes.programs(made, env)
    by_name = {program.name: program for program in [*early, *late]}
    celery = (sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-Q", "cpu", "--concurrency", "1",
              "--without-mingle", "--without-gossip")  # fmt: skip
    more = [Program(f"worker{n}", (*celery, "-n", f"cpu{n}@%h"), env) for n in range(1, workers + 1)]
    return [by_name["api"], by_name["express"], by_name["proxy"], by_name["io"], *more, by_name["beat"]]
