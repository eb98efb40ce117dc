"""A process that stands still, with all that came of it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from local import child


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The first one first, so that it starts no more; of the others some may end before it is their turn."""
    everyone: list[int] = []
    try:
        os.kill(pid, signal.SIGSTOP)
        everyone = child.tree(pid)
        for one in everyone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGSTOP)
        yield
    finally:
        for one in everyone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)
