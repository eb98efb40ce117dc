"""How often: so many seconds after the last time, whatever the wall clock does meanwhile."""

from __future__ import annotations

import threading
import time

from celery import beat

#: How often the io worker is told to look which chores are due.
TICK_S = 2.0


class Pace:
    """Of this process: no more than one in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0
        self._lock = threading.Lock()

    def begin(self) -> bool:
        """Whether it is time for one, which begins now."""
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                return False
            self._next = now + self._seconds
            return True


class Ticks(beat.Scheduler):
    """What beat sends. Celery's own scheduler goes by the wall clock: set back by an hour, it sends nothing for an
    hour. This one goes by the monotonic clock, and has nothing to remember from one start to the next."""

    def setup_schedule(self) -> None:
        self.merge_inplace(self.app.conf.beat_schedule)
        #: How often, and when next.
        self._every = {name: item["schedule"] for name, item in self.app.conf.beat_schedule.items()}
        self._due = dict.fromkeys(self._every, 0.0)

    def tick(self) -> float:  # type: ignore[override]
        """Send what is due; returns the seconds until something is again."""
        for name, due_at in self._due.items():
            if due_at <= time.monotonic():
                self._due[name] = time.monotonic() + self._every[name]
                self.apply_entry(self.schedule[name], producer=self.producer)
        return max(0.0, min(self._due.values()) - time.monotonic())
