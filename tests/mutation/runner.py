"""A copy of the project with engines of its own, in which one run of pytest follows the other.

It reads one task a line from its standard input, and answers each with a line. Before each run everything is as it was
before the first: the tables and the bundles come from a template, and the changed file alone is another.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

import psycopg
import redis
import sqlalchemy
from psycopg import sql

from local import engines as local_engines
from local.child import tree
from tests.engines import ROOT, RUNNING, Engines, started
from tests.mutation import collected, plugin, seen, usage
from tests.mutation.zygote import PR_SET_PDEATHSIG, PRCTL

#: A run of it fills the engines, as any other test's would.
FILLS = "tests/mutation/test_warm.py"
PYTEST = (
    "-p", "tests.mutation.plugin", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--no-header", "--tb=short",
    "--hypothesis-seed=0", "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
RCFILE = """[run]
source = {sources}
relative_files = true
data_file = {data}
parallel = true
patch = _exit
disable_warnings = module-not-measured,no-data-collected,already-imported,module-not-imported,no-sysmon,no-ctracer
"""


class Helper:
    """A process that forks for each task, and answers how it went."""

    def __init__(self, module: str, *arguments: str, cwd: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=cwd, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.heard()

    def heard(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())

    def ask(self, task: Mapping[str, Any]) -> Any:
        print(json.dumps(task), file=self._process.stdin, flush=True)
        return self.heard()

    def end(self) -> None:
        with self._process as process:
            process.kill()


@dataclass
class Runner:
    """`engines` are kept running from one task to the next."""

    folder: Path
    engines: Engines
    tick: int = 0
    changed: dict[Path, tuple[bytes, int]] = field(default_factory=dict)
    helpers: list[Helper] = field(default_factory=list)

    @property
    def copy(self) -> Path:
        return self.folder / "copy"

    @property
    def seen(self) -> Path:
        return self.folder / "seen"

    @functools.cached_property
    def zygote(self) -> Helper:
        return self._helper("tests.mutation.zygote")

    @functools.cached_property
    def collected(self) -> Helper:
        arguments = [*self.collects, *PYTEST, f"--basetemp={self.folder / 'tmp'}", "--continue-on-collection-errors"]
        return self._helper("tests.mutation.collected", str(self.log), *arguments)

    @functools.cached_property
    def collects(self) -> list[str]:
        return [FILLS, *usage.test_files([], ())]

    @property
    def log(self) -> Path:
        return self.folder / "pytest.log"

    def _helper(self, module: str, *arguments: str) -> Helper:
        environ = {**os.environ, "PYTHONPATH": str(self.copy), RUNNING: str(self.engines.folder)}
        self.helpers.append(helper := Helper(module, *arguments, cwd=self.copy, env=environ))
        return helper

    def fill(self) -> None:
        """Make the templates: `mutation_bare` has the roles alone, `mutation_filled` the tables and the bundles too."""
        self._postgres("CREATE DATABASE mutation_bare TEMPLATE postgres")
        answer = self.run({"files": [FILLS], "limit_s": 300.0, "spare_s": 300.0})
        if answer["code"] != 0:
            raise RuntimeError(f"the engines could not be filled: {self.log.read_text()[-3000:]}")
        self._postgres("ALTER DATABASE postgres RENAME TO mutation_filled", "CREATE DATABASE postgres")

    def run(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Run the tests of `files`, or of them those that `usual` names, on the project with `source` in `path`."""
        # It imports the project as it is.
        by = self.collected if "path" in task and {*task["files"]} <= {*self.collects} else self.zygote
        try:
            self._change(task)
            return self._run(task, by)
        finally:
            self._change_back()

    def _run(self, task: Mapping[str, Any], by: Helper) -> dict[str, Any]:
        report = self.folder / "report.jsonl"
        self.log.write_bytes(b"")
        report.unlink(missing_ok=True)
        told = {name: task.get(name) for name in ("usual", "spare_s", "bare")}
        told |= {"report": str(report), "seen": str(self.seen)}
        if task.get("coverage"):
            told["coverage"] = str(self._rcfile(Path(task["coverage"])))
        arguments = [*task["files"], *PYTEST, f"--basetemp={self.folder / 'tmp'}"]
        if "usual" in task:
            arguments.append("-x")
        # In a file: what is longer than 128 KB in the environment lets nobody start a process.
        (self.folder / "task.json").write_text(json.dumps(told))
        environ = {plugin.TASK: str(self.folder / "task.json")}
        request = {"environ": environ, "arguments": arguments, "log": str(self.log), "limit_s": task["limit_s"]}
        request |= {name: task[name] for name in ("path", "before", "source") if name in task}
        code = by.ask(request)
        if code == collected.COLD:
            code = self.zygote.ask(request)
        ended = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
        children = [*seen.taken(self.seen)]
        return {"code": code, "ended": ended, "children": children, "log": self.log.read_text(errors="replace")[-2000:]}

    def restore(self, *, bare: bool) -> None:
        """Bring engines and their contents back to what they were, whatever the last run did to them."""
        for name, child in self.engines.running.items():
            for pid in tree(child.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            if not self.engines.known[name].ready():
                child.stop()
                self.engines.start(name)
        self._tell_pids()
        self._postgres(
            "DROP DATABASE postgres WITH (FORCE)",
            f"CREATE DATABASE postgres TEMPLATE mutation_{'bare' if bare else 'filled'}",
        )
        local_engines.ensure_roles(self.engines.state)
        redis.Redis.from_url(self.engines.env["REDIS_URL"]).flushall()
        shutil.rmtree(self.engines.folder / "models", ignore_errors=True)
        filled = self.engines.folder / "filled"
        filled.unlink(missing_ok=True) if bare else filled.touch()

    def _change(self, task: Mapping[str, Any]) -> None:
        if "path" not in task:
            return
        path = self.copy / task["path"]
        was = path.stat()
        self.changed[path] = (path.read_bytes(), was.st_mtime_ns)
        path.write_text(task["source"])
        # What Python compiled is known by its second and size alone, which two mutants may share.
        self.tick += 1
        os.utime(path, ns=(was.st_mtime_ns, was.st_mtime_ns + self.tick * 1_000_000_000))

    def _change_back(self) -> None:
        for path, (source, mtime_ns) in self.changed.items():
            path.write_bytes(source)
            os.utime(path, ns=(mtime_ns, mtime_ns))
        self.changed.clear()

    def _rcfile(self, data: Path) -> Path:
        path = self.folder / "coveragerc"
        path.write_text(RCFILE.format(sources=",".join(map(str, _rooms(self.copy))), data=data))
        return path

    def _tell_pids(self) -> None:
        pids = {name: child.pid for name, child in self.engines.running.items()}
        (self.engines.folder / "pids.json").write_text(json.dumps(pids))

    def _postgres(self, *commands: str) -> None:
        url = sqlalchemy.make_url(self.engines.superuser_url).set(drivername="postgresql", database="template1")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            for command in commands:
                connection.execute(sql.SQL(command))


def _rooms(copy: Path) -> list[Path]:
    return sorted(init.parent for init in copy.glob("*/__init__.py") if init.parent.name != "tests")


def copied(to: Path) -> None:
    """A copy of what git knows of, as it is now, and of what it would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


@contextlib.contextmanager
def ready() -> Iterator[Runner]:
    with tempfile.TemporaryDirectory(prefix="coatcheck-mutation-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        copied(folder / "copy")
        seen.install(folder / "copy", folder / "seen", _rooms(folder / "copy"))
        (folder / "engines").mkdir()
        with started(folder / "engines") as found:
            runner = Runner(folder, found)
            try:
                runner._tell_pids()
                runner.fill()
                yield runner
            finally:
                for helper in runner.helpers:
                    helper.end()


def main(tasks: IO[str], answers: IO[str]) -> None:
    with ready() as runner:
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in tasks:
            task = json.loads(line)
            runner.restore(bare=task.get("bare", False))
            print(json.dumps(runner.run(task)), file=answers, flush=True)


def _end(*_: object) -> NoReturn:
    """Ended by the pool, or with it: what was started here is ended, and the folder removed, on the way out."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the second, while the first is obeyed
    sys.exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    PRCTL(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    main(sys.stdin, sys.stdout)
