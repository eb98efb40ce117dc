"""Where the time goes, by py-spy: of a worker that drains a backlog, and of the express lane and the API beside it that
answer predictions. A flame graph of each is kept beside the figures; needs wrk."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import bed, drain, inline, kept, peers
from benchmarks.inline import LUA, Server

REQUIREMENTS = Path(__file__).parent / "profiles.txt"
SECONDS, PER_SECOND, CONNECTIONS = 6, 200, 16
#: More than are drained meanwhile.
JOBS = 120_000
SHOWN = 12
WHAT = {
    "drain": "a worker process that drains a backlog",
    "lane": "the express lane, through nginx",
    "api": "the API by itself, by what holds Python's lock",
}
#: Of these only what holds Python's own lock is looked at: one of many threads that waits for another looks as if it
#: worked.
BY_LOCK = ("api",)
#: Where a thread is that does nothing, which py-spy takes for work on some kernels.
RESTS = (
    "_worker (concurrent",
    "Condition.wait (threading",
    "Board._always (core/board",
    "always (jobs/presence",
    "thread (",
)
#: And where it waits for an answer.
WAITS = {"Connection.wait (psycopg": "waits for Postgres", "_read_from_socket (redis": "waits for Redis"}


def run() -> None:
    if shutil.which("wrk") is None:
        sys.exit("this one needs wrk (apt-get install wrk)")
    spy = peers.python("profiles", REQUIREMENTS).parent / "py-spy"
    print(
        f"where the time goes, by py-spy: {SECONDS} s, {PER_SECOND} looks a second; parts of all that was seen to work"
    )
    with bed.made() as found, _draining(found) as pid:
        _profile(spy, "drain", pid, WHAT["drain"])
    with bed.made() as found:
        script = found.folder / "post.lua"
        script.write_text(LUA % found.key())
        for name, server, whose in zip(("lane", "api"), inline.ours(found).values(), (1, 0), strict=True):
            with _answering(server, script, whose) as pid:
                _profile(spy, name, pid, f"{WHAT[name]}, while {CONNECTIONS} connections ask")


@contextmanager
def _draining(found: bed.Bed) -> Iterator[int]:
    """The number of a worker's only process, which has more to do than it can."""
    found.key()
    drain.started(found)
    since = drain.waiting(found, JOBS)
    bed.until(lambda: drain.done(found, since).done > JOBS / 50)
    [name] = drain.names(found)
    yield int(name.rpartition("/")[2])


@contextmanager
def _answering(server: Server, script: Path, whose: int) -> Iterator[int]:
    """The number of one of a server's processes, while it is asked as much as it can answer."""
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            inline.measure(server.url, script, connections=CONNECTIONS)

    with inline.started(server, script) as children:
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield children[whose].pid
        finally:
            over.set()
            asking.join()


def _profile(spy: Path, name: str, pid: int, what: str) -> None:
    seen = kept.FOLDER / f"{name}.raw"
    picture = kept.FOLDER / f"profile-{name}.svg"
    for form, file in (("flamegraph", picture), ("raw", seen)):
        command = [str(spy), "record", "--pid", str(pid), "--subprocesses", "--threads", "--duration", str(SECONDS)]
        more = ["--rate", str(PER_SECOND), "--format", form, "--output", str(file)]
        more += ["--gil"] if name in BY_LOCK else []
        subprocess.run([*command, *more], check=True, capture_output=True)
    parts = _parts(seen.read_text().splitlines())
    seen.unlink()
    print(f"{what}; {picture.name} shows it")
    for part, count in parts.most_common(SHOWN):
        print(f"  {count / parts.total():6.1%}  {part}")


def _parts(lines: list[str]) -> Counter[str]:
    """How often a thread that worked was in each library, or room of ours, by its innermost function."""
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        innermost = stack.split(";")[-1]
        if not innermost.startswith(RESTS):
            found[_whose(innermost)] += int(count)
    return found


def _whose(function: str) -> str:
    waits = next((what for where, what in WAITS.items() if where in function), None)
    return waits or function.rpartition("(")[2].split("/")[0].split(":")[0]
