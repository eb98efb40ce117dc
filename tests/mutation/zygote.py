"""Forks a process for each run of pytest, with the libraries imported already and none of the project's own modules.

It reads one task a line from its standard input, and answers each with a line: the exit code, or null for one that took
too long. What a run leaves behind is ended with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

#: Imported once for all mutants: about three of the four seconds that a test run takes to begin.
LIBRARIES = (
    "alembic.config", "boto3", "celery", "coverage", "cryptography.fernet", "environs", "flask", "flask_smorest",
    "hypothesis", "marshmallow", "numpy", "onnxruntime", "orjson", "prometheus_client", "psycopg", "pytest",
    "pytest_cov.plugin", "pytest_timeout", "redis", "rich.console", "schemathesis", "soundfile", "soxr",
    "sqlalchemy.dialects.postgresql.psycopg", "structlog", "tokenizers", "xdist.plugin",
)  # fmt: skip
PRCTL = ctypes.CDLL(None).prctl
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    guarded()
    for name in LIBRARIES:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)


def run(task: dict[str, Any]) -> int | None:
    """The exit code of pytest, None if it took longer than `limit_s`."""
    if (pid := os.fork()) == 0:
        become_pytest(task)
    return ended(pid, task["limit_s"])


def guarded() -> None:
    """End with the runner; what a run leaves behind becomes ours."""
    PRCTL(PR_SET_CHILD_SUBREAPER, 1)
    PRCTL(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def alone() -> None:
    """What a fork begins with."""
    PRCTL(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    os.setsid()


def ended(pid: int, limit_s: float) -> int | None:
    """The exit code of a fork, None if it took longer; all that came of it is ended."""
    ends_at = time.monotonic() + limit_s
    try:
        while time.monotonic() < ends_at:
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        return None
    finally:
        end_all()


def become_pytest(task: dict[str, Any]) -> NoReturn:
    alone()
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
        os.dup2(descriptor, number)
    os.environ.update(task["environ"])
    import pytest

    code = 70  # as sysexits.h: our own fault
    try:
        code = int(pytest.main(task["arguments"]))
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - whatever it is, the zygote's own loop must not go on in two processes
        traceback.print_exc()
    os._exit(code)


def end_all() -> None:
    """End every child and what came of it: orphans of a run become ours."""
    while pids := [int(pid) for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
