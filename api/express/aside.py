"""What somebody else has to be asked for is asked for beside what is answered, and is known to who comes later."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

import structlog

from core import database, errors

log = structlog.get_logger()

#: At a time: one that waits for an engine that is away holds up few others.
_THREADS = 4
#: Questions that wait. Who brings more is answered by the API as well.
_MOST = 256


class Aside:
    """Questions whose answers are kept by who is asked; each is asked once at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "express-aside")
        self._asking: set[Hashable] = set()

    def ask(self, about: Hashable, question: Callable[[], object]) -> None:
        if about not in self._asking and len(self._asking) < _MOST:
            self._asking.add(about)
            self._pool.submit(self._ask, about, question)

    def close(self) -> None:
        """Wait for what is being asked; what waits is asked no more."""
        self._pool.shutdown(cancel_futures=True)

    def _ask(self, about: Hashable, question: Callable[[], object]) -> None:
        try:
            question()
        except (errors.CoatcheckError, *database.OUTAGES) as error:
            log.debug("not_answered_aside", error=type(error).__name__)
        finally:
            self._asking.discard(about)
