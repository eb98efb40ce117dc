"""How a decoder's process gives up what it does not need, and tells what it finds.

Native code that reads hostile bytes will one day be made to do what it should not. What it can reach then is this
process: no memory and time beyond its limits, no file to write, no process to start, nothing to gain by starting one.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from core import errors

#: All that a decoder may have, and the CPU time that it may take for one piece of its output, a page or a block.
MEMORY_BYTES, CPU_S = 2**30, 60
#: And for all of its output.
FILE_CPU_S = 3600
#: Its input beside the three standard streams: with no more than these it cannot open a file or a socket.
FILES = 4
#: Every piece of output is led by its kind and its length in bytes.
HEAD = struct.Struct(">cI")
PIECE, END, TOO_LARGE, UNREADABLE = b"p", b"e", b"l", b"u"
#: The longest piece.
MOST = 2**20

#: prctl(2); the numbers are of <linux/prctl.h>.
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def run(decode: Callable[..., Iterator[bytes]], files: int = FILES) -> None:
    """Decode the file that the command line names after the parent's pid; what follows are numbers for `decode`."""
    parent, path, *asked = sys.argv[1:]
    with open(path, "rb") as file:
        confine(
            int(parent),
            (resource.RLIMIT_AS, MEMORY_BYTES),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NPROC, 0),
            (resource.RLIMIT_NOFILE, files),
        )
        _limit_time()
        try:
            for piece in decode(file, *map(int, asked)):
                _tell(PIECE, piece)
                _limit_time()
        except errors.InputTooLarge as error:
            _tell(TOO_LARGE, error.message.encode())
        except errors.InputUnreadable as error:
            _tell(UNREADABLE, error.message.encode())
        else:
            _tell(END, b"")


def confine(parent: int, *limits: tuple[int, int]) -> None:
    """Have no more than this of each resource from here on, no privilege to gain, and no life beyond the parent's."""
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Where the machine's memory ends, the worker is not what has to go.
        Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getppid() != parent:
        os._exit(1)
    for what, most in ((resource.RLIMIT_CORE, 0), *limits):
        resource.setrlimit(what, (most, most))


def _limit_time() -> None:
    """From here to the next piece."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    ends = min(int(used.ru_utime + used.ru_stime) + CPU_S, FILE_CPU_S)
    resource.setrlimit(resource.RLIMIT_CPU, (ends, FILE_CPU_S))


def _tell(kind: bytes, piece: bytes) -> None:
    # One write after the other: joined, a piece would be copied.
    sys.stdout.buffer.write(HEAD.pack(kind, len(piece)))
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
