"""What this machine's processors have to spare."""

from __future__ import annotations

import time
from pathlib import Path

#: How long it is looked at before anything is said of it.
LOOK_S = 0.1


class Processors:
    """Tells which part of the time of all processors was idle since it was asked before, by Linux's own count
    (proc_stat(5)); 1 where there is none, and until there is something to tell. For one thread."""

    def __init__(self, counts: Path = Path("/proc/stat")) -> None:
        self._counts = counts
        self._before = self._read()
        self._looked_at, self._idle = time.monotonic(), 1.0

    def idle(self) -> float:
        if time.monotonic() - self._looked_at < LOOK_S:
            return self._idle
        (idle, all_), (idle_before, all_before) = now, _ = self._read(), self._before
        if all_ > all_before:
            self._idle = (idle - idle_before) / (all_ - all_before)
        self._before, self._looked_at = now, time.monotonic()
        return self._idle

    def _read(self) -> tuple[int, int]:
        """Ticks of idle time, that which waits for a disk included, and of all."""
        try:
            ticks = [int(count) for count in self._counts.read_text().split("\n", 1)[0].split()[1:9]]
        except FileNotFoundError:
            return 0, 0
        return sum(ticks[3:5]), sum(ticks)
