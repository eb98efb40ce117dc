"""Trying a bundle before it is published, in a process of its own: a graph can hang or kill the one that it runs in.

Whose bundle it is, nobody has to know: the process is given the bundle and nothing of our environment, which holds
secrets; its limits are in `inference.trial_process`. What it says is not believed: it is text, and as long as a
sentence may be.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

import orjson

from core import errors
from inference import guarded
from inference.bundle import Bundle
from inference.trial_process import BEGINS, FINE, MOST

#: How long a run may take: inline, the most that COATCHECK_INLINE_TIMEOUT_S may be; as a job, what it is by default.
INLINE_S, JOB_S = 30.0, 300.0
#: And beginning and opening the model.
OPEN_S = 300.0
OPENING = "opening it"
#: How often a wish to stop is looked at.
LOOK_S = 0.1

#: What is not the bundle's fault; whatever else goes wrong is.
_OURS = {kind.code: kind for kind in (errors.ModelUnavailable, errors.Unavailable)}


def always() -> bool:
    """For who waits to the end."""
    return True


def run(loaded: Bundle, wanted: Callable[[], bool] = always) -> None:
    """`check.check`; raises BundleInvalid also for what does not end, or ends the process. ModelUnavailable when an
    extra is not installed, ModelInterrupted as soon as it is not wanted any more, Unavailable where no process can be
    started."""
    inline = loaded.manifest.inline
    within(loaded.folder, "inference.trial_process", inline=inline, wanted=wanted)


def within(folder: Path, module: str, *paths: Path, inline: bool = False, wanted: Callable[[], bool] = always) -> None:
    """What a module does by `trial_process.within` with the bundle in a folder, and with these paths; raises the
    same."""
    with tempfile.TemporaryDirectory(prefix="coatcheck-trial-") as scratch:
        process = _started(module, (folder, *paths), scratch)
        try:
            _follow(folder, process, wanted, inline=inline)
        finally:
            _end(process)


def _started(module: str, paths: Sequence[Path], scratch: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - it is a program of ours
            guarded.command(module, os.getpid(), *(path.absolute() for path in paths)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=guarded.environment(TMPDIR=scratch),
            cwd=scratch,
            start_new_session=True,
        )
    except OSError as error:
        raise errors.Unavailable(f"No process can be started to try a bundle: {error.strerror}") from error


def _end(process: subprocess.Popen[bytes]) -> int:
    """Whatever it has started goes with it; returns how it has ended, also of one that had by itself."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        cast("IO[bytes]", process.stdout).close()
    return process.wait()


def _follow(folder: Path, process: subprocess.Popen[bytes], wanted: Callable[[], bool], *, inline: bool) -> None:
    limit_s, step = OPEN_S, OPENING
    hears = _Lines(cast("IO[bytes]", process.stdout).fileno(), wanted)
    while True:
        try:
            kind, text = hears.next(limit_s)
        except TimeoutError:
            also = "say inline: false, or " if inline and step != OPENING else ""
            issue = f"{step} did not end within {limit_s:g} s: {also}mend the model"
            raise errors.BundleInvalid(f"{folder}: {issue}") from None
        except EOFError:
            issue = f"{step} ended the process: {_how(_end(process))}"
            raise errors.BundleInvalid(f"{folder}: {issue}") from None
        if kind == FINE:
            return
        if kind != BEGINS:
            raise _OURS.get(kind, errors.BundleInvalid)(text)
        step, limit_s = text, INLINE_S if inline else JOB_S


class _Lines:
    """What the process says, each line two texts as JSON."""

    def __init__(self, output: int, wanted: Callable[[], bool]) -> None:
        self._output, self._wanted = output, wanted
        self._poll = select.poll()
        self._poll.register(output, select.POLLIN)
        self._read = bytearray()

    def next(self, limit_s: float) -> tuple[str, str]:
        """Raises TimeoutError, EOFError also for what is no such line, ModelInterrupted."""
        ends_at = time.monotonic() + limit_s
        while b"\n" not in self._read:
            if not self._wanted():
                raise errors.ModelInterrupted
            if self._poll.poll(LOOK_S * 1000):
                more = os.read(self._output, MOST)
                if not more or len(self._read) > MOST:
                    raise EOFError
                self._read += more
            elif time.monotonic() > ends_at:
                raise TimeoutError
        line, _, rest = bytes(self._read).partition(b"\n")
        self._read = bytearray(rest)
        try:
            kind, text = orjson.loads(line)
        except (ValueError, TypeError) as error:
            raise EOFError from error
        return str(kind), str(text)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    hint = ""
    if -code == signal.SIGFPE:
        hint = "; the graph divides the smallest whole number by -1: keep -1 from its Div and Mod"
    if -code == signal.SIGKILL:
        hint = "; perhaps for want of memory"
    return f"{signal.Signals(-code).name}, {signal.strsignal(-code)}{hint}"
