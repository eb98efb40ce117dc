"""Whether what runs also goes round: what the supervisor has seen, and what the kernel and the alive files say now."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import alive
from local import child, vigil
from local.child import Child
from local.state import read_json, write_private
from local.vigil import Vigil

RECORD = "health.json"
#: How often the supervisor writes down what it has seen.
WRITE_S = 2.0
#: Somebody is asked every few seconds, or touches a file that often; after this they are late.
LATE_S = 3 * vigil.ASK_EVERY_S


@dataclass(frozen=True)
class Health:
    """`state` is running, starting, frozen (alive, but it does nothing) or dead; `since` is a time of this machine."""

    name: str
    pid: int
    state: str
    since: float
    restarts: int = 0

    @property
    def well(self) -> bool:
        """One that starts for the first time is; one that starts again and again is not."""
        return self.state == "running" or (self.state == "starting" and not self.restarts)

    def __str__(self) -> str:
        again = f"  started again {self.restarts} times" if self.restarts > 1 else "  started again once"
        for_s = max(0.0, time.time() - self.since)
        since = f"since {time.strftime('%H:%M:%S', time.localtime(self.since))} ({_lasting(for_s)})"
        return f"{self.name:<10} {self.state:<8} {self.pid:<8} {since}{again if self.restarts else ''}"


def write(run: Path, children: Iterable[Child], watch: Vigil, restarts: Mapping[str, int]) -> None:
    """Write down who is there and when each was last heard of; a full disk is no reason to stop watching."""
    now, clock = time.time(), time.monotonic()
    found = [
        {
            "name": item.program.name,
            "pid": item.pid,
            "born": child.start_time(item.pid),
            "started_at": now - (clock - item.started_at),
            "asked": item.program.answers is not None,
            "heard_at": None if (heard := watch.heard(item)) is None else now - (clock - heard),
            "restarts": restarts.get(item.program.name, 0),
        }
        for item in children
    ]
    with contextlib.suppress(OSError):
        write_private(run / RECORD, json.dumps({"at": now, "processes": found}))


def look(run: Path, supervisor: int, started_at: float) -> Sequence[Health]:
    """Everything as it is now; raises RuntimeError when the record is damaged."""
    record = run / RECORD
    if not record.exists():
        return [Health("supervisor", supervisor, "running", started_at)]
    seen = read_json(record)
    late = child.is_stopped(supervisor) or time.time() - seen["at"] > LATE_S
    first = Health("supervisor", supervisor, *(("frozen", seen["at"]) if late else ("running", started_at)))
    return [first, *(_process(run, item) for item in seen["processes"])]


def _process(run: Path, item: Mapping[str, Any]) -> Health:
    name, pid, restarts, now = item["name"], item["pid"], item["restarts"], time.time()
    if item["born"] is None or child.start_time(pid) != item["born"]:
        return Health(name, pid, "dead", item["heard_at"] or item["started_at"], restarts)
    heard_at = _touched(run, name) or item["heard_at"]
    if heard_at is not None and heard_at < item["started_at"]:
        heard_at = None  # that was an earlier one
    if any(map(child.is_stopped, child.tree(pid))) or (heard_at is not None and now - heard_at > LATE_S):
        return Health(name, pid, "frozen", heard_at or item["started_at"], restarts)
    if heard_at is None and item["asked"]:
        state = "starting" if now - item["started_at"] < alive.START_S else "frozen"
        return Health(name, pid, state, item["started_at"], restarts)
    return Health(name, pid, "running", item["started_at"], restarts)


def _touched(run: Path, name: str) -> float | None:
    """When the one that is latest of a worker and its children, or beat, last showed that it goes round."""
    own = run / f"{name}.alive"
    children = [path for path in run.glob(f"{name}.alive.*") if child.start_time(int(path.suffix[1:])) is not None]
    with contextlib.suppress(FileNotFoundError):
        return time.time() - max(map(alive.silent_s, (own, *children)))
    return None


def _lasting(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
