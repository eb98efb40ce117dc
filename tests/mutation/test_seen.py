from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines import ROOT
from tests.mutation import seen

SOURCE = """import os, resource, signal, sys, threading

def here(then):
    if then == "thread":
        return threading.Thread(target=here, args=("go on",)).start()
    if then == "fork" and os.fork() != 0:
        return os.wait()
    if then == "confined":
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    last = 1
    if then != "go on":
        os.kill(os.getpid(), signal.SIGKILL)

here(sys.argv[1])
"""
LAST = 1 + SOURCE.splitlines().index("    last = 1")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A project of one module."""
    (tmp_path / "copy" / "jobs").mkdir(parents=True)
    (tmp_path / "copy" / "jobs" / "__init__.py").touch()
    (tmp_path / "copy" / "jobs" / "some.py").write_text(SOURCE)
    seen.install(tmp_path / "copy", tmp_path / "seen", [tmp_path / "copy" / "jobs"])
    return tmp_path / "copy"


def start(copy: Path, then: str) -> None:
    env = {"PYTHONPATH": os.pathsep.join((str(copy), str(ROOT)))}
    subprocess.run([sys.executable, "-P", "-m", "jobs.some", then], env=env, cwd="/", check=False)


@pytest.mark.parametrize("then", ["killed", "thread", "fork", "confined"])
def test_what_a_test_starts_is_seen_without_our_environment_and_whatever_ends_it(copy: Path, then: str) -> None:
    folder = copy.parent / "seen"
    seen.count(folder, "tests/one.py::test_it[a]")
    start(copy, then)
    found = {(context, path): lines for context, path, lines in seen.taken(folder)}
    assert LAST in found["tests/one.py::test_it[a]", "jobs/some.py"]


def test_it_is_seen_for_whom_it_was_started_and_for_nobody_who_does_not_count(copy: Path) -> None:
    folder = copy.parent / "seen"
    start(copy, "killed")
    for context, then in (("one", "killed"), ("two", "thread"), ("three", "")):
        seen.count(folder, context)
        if then:
            start(copy, then)
    seen.count(folder, "one")
    found = {context: lines for context, path, lines in seen.taken(folder) if path == "jobs/some.py"}
    assert {context: LAST + 2 in lines for context, lines in found.items()} == {"one": True, "two": False}
    start(copy, "killed")
    assert list(seen.taken(folder)) == []
