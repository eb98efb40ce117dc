"""Decoding a client's file in a process of its own: what goes wrong there is that file's failure, and ends with it.

The process is given the file and nothing of our environment, which holds secrets; its limits are in
`inference.decoders.confined`. What it says is not believed: a length is checked before it is read.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, cast

from core import errors
from inference.decoders import confined
from inference.interrupt import Interrupt

#: How often a wish to stop is looked at.
LOOK_S = 0.1
#: A decoder that neither uses up its time nor says anything is given up after so long.
SILENT_S = 5 * confined.CPU_S
#: Where our packages are.
ROOT = Path(__file__).resolve().parent.parent
#: The longest sentence that is passed on.
MAX_SENTENCE = 500
REFUSED = {confined.TOO_LARGE: errors.InputTooLarge, confined.UNREADABLE: errors.InputUnreadable}


def command(module: str, *arguments: object) -> list[str]:
    """How a program of ours is called that runs what others bring: nothing is imported from the folder that it is
    started in."""
    return [sys.executable, "-P", "-B", "-m", module, *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """All that it is told of ours. A library that would start threads for every core may not."""
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), "OPENBLAS_NUM_THREADS": "1", **more}


def decoded(decoder: str, path: Path, *asked: int, what: str, interrupt: Interrupt) -> Generator[bytes]:
    """The pieces that `inference.decoders.<decoder>` makes of a file; to close the generator ends the process.

    Raises InputUnreadable, InputTooLarge, ModelInterrupted within LOOK_S of the wish, and Unavailable where no process
    can be started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - it is a program of ours
            command(f"inference.decoders.{decoder}", os.getpid(), path, *asked),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise errors.Unavailable(f"No decoder can be started: {error.strerror}") from error
    with process:
        try:
            yield from _pieces(cast("IO[bytes]", process.stdout).fileno(), what, interrupt)
        finally:
            process.kill()


def _pieces(output: int, what: str, interrupt: Interrupt) -> Iterator[bytes]:
    while True:
        kind, size = confined.HEAD.unpack(_read(output, confined.HEAD.size, what, interrupt))
        if size > confined.MOST:
            raise _failed(what)
        piece = _read(output, size, what, interrupt)
        if kind in REFUSED:
            raise REFUSED[kind](piece.decode(errors="replace")[:MAX_SENTENCE])
        if kind != confined.PIECE:
            break
        yield piece


def _read(output: int, size: int, what: str, interrupt: Interrupt) -> bytes:
    """Just so much of a process's output; raises InputUnreadable if it ends before, ModelInterrupted."""
    found, ends_at, poll = bytearray(), time.monotonic() + SILENT_S, select.poll()
    poll.register(output, select.POLLIN)
    while len(found) < size:
        if interrupt.is_set:
            raise errors.ModelInterrupted
        if poll.poll(LOOK_S * 1000):
            more = os.read(output, size - len(found))
            if not more:
                raise _failed(what)
            found += more
        elif time.monotonic() > ends_at:
            raise _failed(what)
    return bytes(found)


def _failed(what: str) -> errors.InputUnreadable:
    memory, seconds = confined.MEMORY_BYTES >> 20, confined.CPU_S
    return errors.InputUnreadable(f"{what} cannot be decoded, or not within {memory} MiB and {seconds} s")
