"""Ctrl-C while the command is still being loaded, which takes a second: told as it is later, and not by a stack trace.

`main` imports this before anything else. Before that, only Python itself is at work; who comes by `.coatcheck/bin` has
SIGINT blocked meanwhile, and one that has come is heard here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

SAID = b"Error: Stopped by Ctrl-C\n"
SAID_AS_JSON = (
    b'{"error": {"code": "INTERRUPTED", "message": "Stopped by Ctrl-C", "details": {}, "retryable": false}}\n'
)


def _leave(*_: object) -> None:
    """At once: an exception could come to light anywhere in what is being loaded, or be lost there."""
    with contextlib.suppress(OSError):
        os.write(2, SAID_AS_JSON if "--json" in sys.argv[1:] else SAID)
    os._exit(130)


@contextlib.contextmanager
def leaving() -> Iterator[None]:
    """Ctrl-C ends the process meanwhile; afterwards it is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    yield
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
