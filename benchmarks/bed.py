"""A platform to measure: throw-away engines, migrated, models published, processes started on request."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy

from access import keys
from core import database, settings
from local import engines, platform_processes, state
from local.child import Child, Program
from wiring.door import Door

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Bed:
    folder: Path
    state: state.State
    env: dict[str, str]
    children: list[Child] = field(default_factory=list)

    @functools.cached_property
    def parts(self) -> Door:
        """This process's own, by the settings that those which are started have."""
        os.environ.update(self.env)
        return Door(settings.load(), application="coatcheck-bench")

    @functools.cached_property
    def superuser(self) -> sqlalchemy.Engine:
        """For what nobody else may do."""
        return database.create_engine(self.state.superuser_url)

    def key(self) -> str:
        """Of a tenant that may do a lot."""
        return keys.create(self.parts.engine, tenant="bench", name="bench", scopes=keys.CLIENT, tier="pro")

    def start(self, program: Program) -> Child:
        self.children.append(Child(program, self.folder / f"{program.name}.log", ROOT))
        return self.children[-1]

    def python(self, name: str, *arguments: str) -> Child:
        return self.start(Program(name, (sys.executable, "-m", *arguments), self.env))

    def once(self, *arguments: str) -> str:
        command = platform_processes.command(*arguments)
        done = subprocess.run(command, env=self.env, cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout.strip()


@contextlib.contextmanager
def made() -> Iterator[Bed]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = state.load(folder / ".coatcheck")
        urls = found.urls({})
        bed = Bed(folder, found, platform_processes.environment(ROOT, found, urls, dict(os.environ)))
        try:
            for engine in engines.embedded(found, urls, {"PATH": bed.env["PATH"], "LANG": "C.UTF-8"}):
                engine.prepare()
                bed.start(engine.program)
                until(engine.ready)
            engines.ensure_roles(found)
            bed.once("migrate")
            bed.once("models", "push", str(ROOT / "bundles" / "sentiment-1"))
            yield bed
        finally:
            for child in reversed(bed.children):
                child.stop()


def until(condition: Callable[[], object], timeout_s: float = 120.0, every_s: float = 0.01) -> None:
    ends_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > ends_at:
            raise TimeoutError
        time.sleep(every_s)
