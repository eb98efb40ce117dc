"""Ending a run from another thread."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: How often a watch looks, so that nobody has to wake it.
TICK_S = 0.2


class Interrupt:
    """One run's stop button: ONNX Runtime looks at the flag between two nodes of the graph."""

    def __init__(self) -> None:
        # Loaded by who runs something: it is 19 MB, and the io worker, `up` and most commands live without.
        import onnxruntime

        self.options = onnxruntime.RunOptions()
        #: When who can do with less had better end, as the monotonic clock counts.
        self.soon_at = math.inf

    def set(self) -> None:
        self.options.terminate = True

    @property
    def is_set(self) -> bool:
        return bool(self.options.terminate)


class Watch(threading.Thread):
    """Ends runs whose time is over: one thread for all of them, which begins with the first."""

    def __init__(self) -> None:
        super().__init__(name="watch", daemon=True)
        self._ends: dict[Interrupt, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def until(self, ends_at: float) -> Iterator[Interrupt]:
        """The stop button of a run that is pressed when the monotonic clock shows this, and at once if it does now."""
        interrupt = Interrupt()
        if time.monotonic() >= ends_at:
            interrupt.set()
        with self._lock:
            self._ends[interrupt] = ends_at
            if self.ident is None:
                self.start()
        try:
            yield interrupt
        finally:
            with self._lock:
                del self._ends[interrupt]

    def run(self) -> None:
        while True:
            time.sleep(TICK_S)
            now = time.monotonic()
            with self._lock:
                late = [interrupt for interrupt, ends_at in self._ends.items() if now >= ends_at]
            for interrupt in late:
                interrupt.set()
