"""Whether a process still does its work: one that serves is asked, one that goes round touches a file each time.

`python -m core.alive URL|unix:SOCKET|FILE` is what a container's health check runs: where nobody else would, it also
ends what does not answer, so that the container is started again. Nothing but the standard library is imported.

What goes round stands still while Redis is away, and may hold a job meanwhile: nobody is ended for that.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import Any

ASK_S = 5.0
#: A file older than this is of a process that hangs.
STALE_S = 30.0
#: So many looks in a row without an answer, and the container is ended.
MOST_SILENT = 6
#: How long one that lives may take until its first answer; ten seconds where the machine has little else to do.
START_S = 300.0
#: What `init: true` puts first in a container; when its child ends, so does the container.
INITS = ("docker-init", "tini")


def beat(file: str | None) -> None:
    """Say in a file that this process goes round, if it was given one. Its time is that of the monotonic clock, which
    is one for all processes and is never set."""
    if file:
        now_ns = time.monotonic_ns()
        with contextlib.suppress(OSError):  # a full disk may have no place for a new file: the next time it may
            Path(file).touch()
            os.utime(file, ns=(now_ns, now_ns))


def silent_s(file: Path) -> float:
    """For how long nobody has touched this file, in seconds; of one from before a reboot it may be negative. Raises
    FileNotFoundError."""
    return time.monotonic() - file.stat().st_mtime


def beats(file: Path) -> bool:
    """Whether the process that touches this file goes round."""
    return file.exists() and 0 <= silent_s(file) < STALE_S


def asked(folder: Path, name: str, path: str) -> bool:
    """Whether whoever listens on the Unix socket `name` in `folder` answers a GET at all, within ASK_S."""
    with contextlib.suppress(OSError, http.client.HTTPException), _connected(folder, name) as sock:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = sock
        connection.request("GET", path)
        connection.getresponse()
        return True
    return False


def _connected(folder: Path, name: str) -> socket.socket:
    """By a short path, as that of a deep folder is too long for an address (unix(7): 108 bytes)."""
    descriptor = os.open(folder, os.O_RDONLY)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(ASK_S)
    try:
        short = Path(f"/proc/self/fd/{descriptor}")
        sock.connect(str((short if short.exists() else folder) / name))
    except OSError:
        sock.close()
        raise
    finally:
        os.close(descriptor)
    return sock


def served(url: str) -> int | None:
    """The status that a GET of an http:// address is answered with, None without an answer within ASK_S."""
    answer = _got(url)
    return answer and answer[0]


def said(url: str) -> Any:
    """The JSON in that answer, whatever its status; None without any."""
    with contextlib.suppress(ValueError):
        return json.loads((_got(url) or (0, b""))[1])
    return None


def _got(url: str) -> tuple[int, bytes] | None:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=ASK_S)
    try:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def redis_there(url: str) -> bool:
    """Whether the Redis of this address says anything within ASK_S; to be refused without a password is an answer."""
    address = urllib.parse.urlsplit(url)
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address.hostname or "localhost", address.port or 6379), ASK_S) as sock,
    ):
        sock.sendall(b"PING\r\n")
        return bool(sock.recv(1))
    return False


def main(what: str, redis_url: str) -> int:
    """0 when it answers. After MOST_SILENT looks in a row without an answer, or START_S without a first one, the
    container's process is ended."""
    # How many looks in a row there was no answer; none that is of this start before its first answer.
    record = Path(tempfile.gettempdir()) / "coatcheck-silent"
    up_s = _up_s()
    # Before anything is counted: the name of what is away may take longer to look up than we are given.
    if what.startswith("/") and not _answers(what, up_s) and not redis_there(redis_url):
        _write(record, 0)
        return 0
    has_answered = _is_of_this_start(record, up_s)
    silent = int(record.read_text() or 0) + 1 if has_answered else 0
    # Before asking: whoever runs us may not wait for the end of it.
    if has_answered:
        _write(record, silent)
    if _answers(what, up_s):
        _write(record, 0)
        return 0
    if silent >= MOST_SILENT or (not has_answered and up_s > START_S):
        _end()
    return 1


def _up_s() -> float:
    """For how long the container's first process has run: field 22 of proc_pid_stat(5), in ticks since the boot."""
    started_at = int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_at / os.sysconf("SC_CLK_TCK")


def _is_of_this_start(file: Path, up_s: float) -> bool:
    """What a container has in /tmp is still there when it is started again, and says nothing of who runs now."""
    return file.exists() and 0 <= silent_s(file) <= up_s


def _write(record: Path, silent: int) -> None:
    with contextlib.suppress(OSError):  # a full disk has no place for it: nobody is ended, and who answers is well
        record.write_text(str(silent))
    beat(str(record))


def _answers(what: str, up_s: float) -> bool:
    if what.startswith("http://"):
        return (served(what) or 500) < 500
    if what.startswith("unix:"):
        path = Path(what.removeprefix("unix:"))
        return asked(path.parent, path.name, "/")
    return _is_of_this_start(Path(what), up_s) and beats(Path(what))


def _end() -> None:
    """End what the container's `init` started; anywhere else the first process is another, and nothing is ended."""
    if Path("/proc/1/comm").read_text().strip() in INITS:
        for pid in Path("/proc/1/task/1/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.environ.get("REDIS_URL", "")))  # noqa: TID251 - for whoever has no settings
