"""How fast the machine is at this moment: what may take how long is said relative to that."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

#: What every process of a worker imports first.
_HEAVY = "import celery.bin.worker, numpy, onnxruntime, sqlalchemy"


def start_s() -> float:
    """Seconds that a Python process takes now until it could begin to work: 1 with nothing else to do."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", _HEAVY], check=True)
    return time.monotonic() - started


def within(condition: Callable[[], object], *, base_s: float, starts: float, meanwhile: Callable[[], None]) -> bool:
    """Whether a condition is met within `base_s` and the time of so many starts of a process, which is measured when it
    is needed."""
    begun, allowed_s, measured = time.monotonic(), base_s, 0
    while not condition():
        if time.monotonic() - begun > allowed_s:
            if measured == 2:
                return False
            # Twice: the machine may have become slower meanwhile.
            allowed_s, measured = max(allowed_s, base_s + starts * start_s()), measured + 1
        meanwhile()
        time.sleep(0.05)
    return True
