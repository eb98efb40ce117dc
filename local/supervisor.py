"""Starting everything in the right order, keeping it running, and stopping it in reverse with nothing left."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from core import alive, settings
from local import child, engines, environments, first_run, health, leftovers, platform_processes, state
from local.child import Child, Program
from local.state import write_private
from local.vigil import Vigil

#: Where an engine listens, where that is not called as it is.
PORTS = {"seaweedfs": "s3"}
#: A log larger than this is put aside.
LOG_BYTES = 50 * 2**20
#: A process that dies again within this time waits before it is started again.
QUICK_DEATH_S = 5.0
#: And never for longer than this: what it died of, such as a full disk, may be gone.
LONGEST_PAUSE_S = 15.0
#: How soon a death is seen.
LOOK_EVERY_S = 0.1


class StartFailed(Exception):
    """Something did not come up; the message names it and its log."""


class Supervisor:
    """Owns every process of one checkout."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.root = root
        self.state = state.load(root / ".coatcheck")
        self.environ = environ
        self.children: list[Child] = []
        self.stopping = False
        self._vigil = Vigil()
        self._pauses: dict[str, float] = {}  #: by program: how long the last one that died waited
        self._restarts: dict[str, int] = {}
        self._written_at = 0.0
        self._due: dict[int, float] = {}  #: when to start those again that are dead, by their pids

    def start(self) -> dict[str, str]:
        """Bring everything up and return what people need to know; raises StartFailed."""
        leftovers.clear(self.state)
        (self.state.run / health.RECORD).unlink(missing_ok=True)
        for name in self.state.given(self.environ):
            click.echo(f"  using {name} from the environment")
        # Before the ports change: a sourced `.coatcheck/env.admin` names the old ones, and they are ours.
        self.environ = {name: value for name, value in self.environ.items() if name not in self.state.urls({})} | (
            self.state.given(self.environ)
        )
        for name in state.renew_taken_ports(self.state):
            click.echo(f"  port of {name} is taken by somebody else, using {self.state.ports[name]}")
        if self.state.ports["api"] != state.API_PORT:
            click.echo(f"  port {state.API_PORT} is not ours: the API listens on {self.state.ports['api']}")
        urls = self.state.urls(self.environ)
        env = platform_processes.environment(self.root, self.state, urls, self.environ)
        # Here, where it costs nothing yet, and not in the log of the first process that stumbles over it.
        os.environ.update(env)
        click.echo(f"  {platform_processes.receivers_here(self.state, settings.load())}")
        settings.owner_url()
        if settings.proxy().tls_certificate:
            raise StartFailed(
                "COATCHECK_TLS_CERTIFICATE is for `coatcheck proxy`; what `up` starts is for this machine alone"
            )
        self._engines(urls, env)
        with _step("tables migrated"):
            self._once("migrate", env=env)
        early, late = platform_processes.programs(self.state, env)
        for program in early:
            self._launch(program)
        with _step("models published"):
            bundles = sorted(str(path.parent) for path in (self.root / "bundles").glob("*/model.yaml"))
            self._once("models", "push", *bundles, env=env)
        for program in late:
            self._launch(program)
        with _step("api and workers ready"):
            self._until_all_answer()
        return self._tell(env, urls)

    def watch(self) -> None:
        """Start again whatever dies or gives no answer any more, until asked to stop."""
        while not self.stopping:
            for item, why in self._vigil.unwell(self.children):
                say(f"{_now()} {item.program.name} {why}; ending it")
                item.kill()
            for dead in [item for item in self.children if not item.alive]:
                self._revive(dead)
            self._bound_logs()
            self._write_down()
            self._sleep(LOOK_EVERY_S)

    def _write_down(self) -> None:
        """For `status`."""
        if time.monotonic() - self._written_at > health.WRITE_S:
            self._written_at = time.monotonic()
            health.write(self.state.run, self.children, self._vigil, self._restarts)

    def _revive(self, dead: Child) -> None:
        """Start it again when its time has come: at once, but after each quick death twice as late as after the last.
        The others are not kept waiting meanwhile."""
        name, now = dead.program.name, time.monotonic()
        if dead.pid not in self._due:
            lived = now - dead.started_at
            pause = min(LONGEST_PAUSE_S, max(0.5, 2 * self._pauses.get(name, 0.0))) if lived < QUICK_DEATH_S else 0.0
            self._pauses[name], self._due[dead.pid] = pause, now + pause
            say(f"{_now()} {name} ended with code {dead.exit_code} after {lived:.0f} s; starting it again")
            dead.kill()
        if now < self._due[dead.pid]:
            return
        try:
            self._launch(dead.program)
        except OSError as error:
            # A full disk, for one: it may be no more the next time.
            say(f"{_now()} {name} cannot be started now: {error}")
            self._due[dead.pid] = now + 5
            return
        self.children.remove(dead)
        del self._due[dead.pid]
        self._restarts[name] = self._restarts.get(name, 0) + 1

    def _bound_logs(self) -> None:
        """What strangers can make a process write has an end: its log and the one before, which is put aside."""
        for log in {item.log for item in self.children}:
            if log.exists() and log.stat().st_size > LOG_BYTES:
                # On a full disk room counts for more than what was said before.
                with contextlib.suppress(OSError):
                    shutil.copyfile(log, log.with_suffix(".log.1"))
                # Written by appending: what comes next stands at the beginning.
                os.truncate(log, 0)

    def stop(self) -> None:
        """End everything in the reverse order; nothing is left when this returns."""
        self.stopping = True
        self._vigil.close()
        platform = [item for item in self.children if item.program.name not in ("postgres", "valkey", "seaweedfs")]
        # Workers finish what they hold, while the engines are still there.
        for item in platform:
            item.ask_to_stop()
        for item in reversed(self.children):
            item.stop()
        self.children.clear()
        for name in ("pids.json", health.RECORD):
            (self.state.run / name).unlink(missing_ok=True)

    def ask_to_stop(self, *_: object) -> None:
        self.stopping = True

    def _engines(self, urls: Mapping[str, str], env: Mapping[str, str]) -> None:
        wanted = engines.embedded(self.state, urls, {**self.environ, "PATH": env["PATH"]})
        for engine in wanted:
            engine.prepare()
        for engine in wanted:
            self._launch(engine.program)
        for engine in wanted:
            name = engine.program.name
            with _step(f"{name} ready"):
                # Whoever else listens there would be sent a password, or files.
                self._until(functools.partial(self._listens, name, PORTS.get(name, name)), name)
                self._until(engine.ready, name)
        if "postgres" in (engine.program.name for engine in wanted):
            engines.ensure_roles(self.state)

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.state.ports['api']}"

    def _tell(self, env: Mapping[str, str], urls: Mapping[str, str]) -> dict[str, str]:
        """Write down what people need, with keys that open something: those of before may have been revoked."""
        keys = self.state.keys_for(urls["DATABASE_URL"])
        for name, flags in (("api", ()), ("admin", ("--admin",))):
            if name in keys and not first_run.opens(self._url, keys[name]):
                click.echo(f"  the key {name} of before opens nothing any more, using a new one")
                del keys[name]
            if name not in keys:
                keys[name] = self._key("--name", name, *flags, env=env)
        self.state.save()
        flower = f"http://coatcheck:{self.state.secrets['flower']}@127.0.0.1:{self.state.ports['flower']}"
        people = {
            "COATCHECK_URL": self._url,
            **({"COATCHECK_GRPC_PORT": str(self.state.ports["grpc"])} if platform_processes.has_grpc() else {}),
            "COATCHECK_API_KEY": keys["api"],
            "COATCHECK_ADMIN_KEY": keys["admin"],
            "COATCHECK_SECRET_KEY": env["COATCHECK_SECRET_KEY"],
            **urls,
            **self.state.proof(urls),
            "FLOWER_URL": flower,
            "METRICS_URL": f"http://127.0.0.1:{self.state.ports['metrics']}/metrics",
        }
        environments.write(self.state.folder, people)
        return people

    def _key(self, *asked: str, env: Mapping[str, str]) -> str:
        """A new one; its tenant is made as pro, and keeps its own tier where it is there. Raises StartFailed."""
        try:
            return self._once("keys", "create", "--tier", "pro", *asked, env=env).strip()
        except StartFailed as error:
            if ", not pro" not in str(error):  # as TenantConflict says it
                raise
            return self._once("keys", "create", *asked, env=env).strip()

    def _until_all_answer(self) -> None:
        """Raises StartFailed."""
        # Whoever else listens where the API is said to be would be sent a key.
        self._until(lambda: self._listens("proxy", "api"), "proxy")
        self._until(lambda: platform_processes.all_there(self._url), "api")
        self._until(lambda: alive.asked(self.state.run, platform_processes.FLOWER_SOCKET, "/healthcheck"), "flower")
        if any(item.program.name == "grpc" for item in self.children):
            self._until(lambda: alive.beats(self.state.run / "grpc.alive"), "grpc")

    def _listens(self, name: str, port: str) -> bool:
        """Whether it is our own process of this name that listens on the port that is called so."""
        mine = [item for item in self.children if item.program.name == name and item.alive]
        return any(child.listens(item.pid, self.state.ports[port]) for item in mine)

    def _launch(self, program: Program) -> None:
        log = self.state.logs / f"{program.name}.log"
        started = Child(program, log, self.root)
        known = [
            {"name": item.program.name, "pid": item.pid, "born": child.start_time(item.pid)}
            for item in (*self.children, started)
            if item.alive
        ]
        try:
            write_private(self.state.run / "pids.json", json.dumps(known))
        except OSError:
            # Nobody would find it when we are killed.
            started.kill()
            raise
        self.children.append(started)

    def _once(self, *arguments: str, env: Mapping[str, str]) -> str:
        """Run a `coatcheck` command; raises StartFailed when it fails."""
        command = platform_processes.command(*arguments)
        own = environments.only(arguments[0], env)
        done = subprocess.run(command, env=own, cwd=self.root, capture_output=True, text=True, check=False)
        if self.stopping:
            raise StartFailed("stopped while starting")
        if done.returncode != 0:
            raise StartFailed(f"coatcheck {' '.join(arguments[:2])} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _until(self, condition: Callable[[], bool], name: str) -> None:
        ends_at = time.monotonic() + alive.START_S
        log = self.state.logs / f"{name}.log"
        while not condition():
            dead = [item for item in self.children if item.program.name == name and not item.alive]
            if dead:
                raise StartFailed(f"{name} ended with code {dead[0].exit_code}, see {log}\n{tail(log)}")
            if time.monotonic() > ends_at:
                raise StartFailed(f"{name} was not ready after {alive.START_S:.0f} s, see {log}\n{tail(log)}")
            if self.stopping:
                raise StartFailed("stopped while starting")
            time.sleep(0.05)

    def _sleep(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and not self.stopping:
            time.sleep(0.05)


def say(words: str) -> None:
    """To whoever reads the log of `up`, which may be on a full disk."""
    with contextlib.suppress(OSError):
        click.echo(words, err=True)


def _now() -> str:
    return time.strftime("%H:%M:%S")


def tail(log: Path, lines: int = 15) -> str:
    return (
        "\n".join(line[:300] for line in log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
    )


@contextlib.contextmanager
def _step(words: str) -> Iterator[None]:
    """Say what is going on, and how long it took."""
    started = time.monotonic()
    interactive = sys.stdout.isatty()
    if interactive:
        click.echo(f"  … {words}", nl=False)
    yield
    start = "\r" if interactive else ""
    click.echo(f"{start}  ✓ {words:<28} {time.monotonic() - started:5.1f} s")
