"""A child process that does not outlive us, and leaves no orphans of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_NOBODY = 65534


@dataclass(frozen=True)
class Program:
    """How to run something: `stop` is the signal that ends it well, `grace_s` how long it may take before SIGKILL."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0
    unprivileged: bool = False  #: refuses to run as root
    cwd: Path | None = None  #: where it runs, if not in the project
    answers: Callable[[], bool] | None = None  #: asks it something, within seconds; without it only its end is seen
    has_room_again: Callable[[], bool] | None = None  #: true once after its disk was full, where that takes a new start
    leftovers: Sequence[Path] = ()  #: files of its own elsewhere that it does not remove when it is killed


class Child:
    """A started program, in a process group of its own, logging to `log`."""

    def __init__(self, program: Program, log: Path, cwd: Path) -> None:
        self.program = program
        self.log = log
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                list(program.command),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(program.env),
                cwd=program.cwd or cwd,
                start_new_session=True,
                preexec_fn=_preparation(program),  # noqa: PLW1509 - only the main thread starts children
            )
        self.pid = self._process.pid
        self.started_at = time.monotonic()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout_s: float) -> int:
        """The exit code; raises TimeoutExpired."""
        return self._process.wait(timeout_s)

    def ask_to_stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, self.program.stop)

    def stop(self) -> None:
        """Ask, wait for the grace, then kill the whole group."""
        if self.alive:
            self.ask_to_stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.program.grace_s)
        self.kill()

    def kill(self) -> None:
        """End it and all that came of it, also what made a session of its own, as Postgres's processes do, and clear
        away what it leaves."""
        everyone = tree(self.pid)[1:]
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for pid in everyone:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        for path in self.program.leftovers:
            with contextlib.suppress(PermissionError):  # then it is not ours
                path.unlink(missing_ok=True)


def tree(pid: int) -> list[int]:
    """This process and those that it and its children started, while it lives."""
    found = [pid]
    # It, or one of its threads, may end between any two looks.
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                for child in map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split()):
                    found += tree(child)
    return found


def _preparation(program: Program) -> Callable[[], None]:
    """What happens between fork and exec.

    Postgres refuses uid 0: as root it gets a user namespace in which it is nobody, while its files stay root's outside.
    """
    parent = os.getpid()
    drop = program.unprivileged and os.geteuid() == 0

    def prepare() -> None:
        if drop:
            if _libc.unshare(_CLONE_NEWUSER) != 0:
                os.write(2, b"cannot make a user namespace; start as an ordinary user, or give DATABASE_URL\n")
                os._exit(126)
            maps = {"setgroups": "deny", "uid_map": f"{_NOBODY} 0 1", "gid_map": f"{_NOBODY} 0 1"}
            for name, text in maps.items():
                with open(f"/proc/self/{name}", "w") as stream:
                    stream.write(text)
        # After the namespace: changing credentials clears it.
        _libc.prctl(_PR_SET_PDEATHSIG, int(program.stop))
        if os.getppid() != parent:
            os._exit(125)

    return prepare


def start_time(pid: int) -> str | None:
    """When a process began, in ticks after boot, which tells it from a later one with its pid; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def environment(pid: int) -> dict[str, str]:
    """What a process was started with; empty if it is gone."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    return dict(os.fsdecode(pair).split("=", 1) for pair in pairs if b"=" in pair)


def listens(pid: int, port: int) -> bool:
    """Whether it is this process that listens on a TCP port of 127.0.0.1; state 0A is LISTEN (proc(5))."""
    ours = f"0100007F:{port:04X}"
    with contextlib.suppress(OSError):
        rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
        sockets = {f"socket:[{row[9]}]" for row in rows if (row[1], row[3]) == (ours, "0A")}
        return any(str(link.readlink()) in sockets for link in Path(f"/proc/{pid}/fd").iterdir())
    return False


def is_stopped(pid: int) -> bool:
    """Whether it stands still by a signal (SIGSTOP) or a debugger."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False
