"""Trying a bundle before it is published, in a process of its own: a graph can hang or kill the one that it runs in."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import structlog

from core import errors
from inference import check
from inference.bundle import Bundle

#: How long a run may take: inline, the most that COATCHECK_INLINE_TIMEOUT_S may be; as a job, what it is by default.
INLINE_S, JOB_S = 30.0, 300.0
#: And beginning and opening the model.
OPEN_S = 300.0
OPENING = "opening it"

_SPAWN = multiprocessing.get_context("spawn")


def run(loaded: Bundle) -> None:
    """`check.check`; raises BundleInvalid also for what does not end, or ends the process. ModelUnavailable when an
    extra is not installed."""
    hears, tells = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_try, args=(loaded, tells), daemon=True)
    process.start()
    tells.close()
    try:
        _follow(loaded, hears, process)
    finally:
        process.kill()
        process.join()
        process.close()
        hears.close()


def _follow(loaded: Bundle, hears: Connection, process: SpawnProcess) -> None:
    inline, limit_s = loaded.manifest.inline, OPEN_S
    said: object = OPENING
    while isinstance(said, str):
        step = said
        if not hears.poll(limit_s):
            also = "say inline: false, or " if inline and step != OPENING else ""
            raise errors.BundleInvalid(
                f"{loaded.folder}: {step} did not end within {limit_s:g} s: {also}mend the graph"
            )
        try:
            said = hears.recv()
        except EOFError:
            process.join()
            raise errors.BundleInvalid(f"{loaded.folder}: {step} ended the process: {_end(process)}") from None
        limit_s = INLINE_S if inline else JOB_S
    if isinstance(said, errors.CoatcheckError):
        raise said


def _end(process: SpawnProcess) -> str:
    code = process.exitcode or 0
    if code >= 0:
        return f"exit code {code}"
    hint = ""
    if -code == signal.SIGFPE:
        hint = "; the graph divides the smallest whole number by -1: keep -1 from its Div and Mod"
    if -code == signal.SIGKILL:
        hint = "; perhaps for want of memory"
    return f"{signal.Signals(-code).name}, {signal.strsignal(-code)}{hint}"


def _try(loaded: Bundle, tells: Connection) -> None:
    """In the child: says each step before it takes it, then the error, or None."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Who presses Ctrl-C ends the parent, which ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What would be logged is in the error.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        check.check(loaded, tells.send)
    except errors.CoatcheckError as error:
        tells.send(error)
    else:
        tells.send(None)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
