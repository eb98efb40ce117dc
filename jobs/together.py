"""Whoever writes at the same moment writes together: one transaction, for whose end all of them wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import exc

from core import database, errors

T = TypeVar("T")


@dataclass(eq=False)
class _Waiting(Generic[T]):
    """What is to be written; once it is done, `error` is why it was not."""

    item: T
    done: bool = False
    error: Exception | None = None


class Together(Generic[T]):
    """Whoever comes while nobody writes does so at once, and then for all who came meanwhile."""

    def __init__(self, write: Callable[[Sequence[T]], object], most: int) -> None:
        """`write` stores all it is given or none of it, and is given `most` at most."""
        self._write = write
        self._most = most
        self._waiting: deque[_Waiting[T]] = deque()
        self._turn = threading.Lock()

    def write(self, item: T) -> None:
        """Returns when it is stored; raises what `write` does where it was given this item alone, or for whom the
        database did not answer."""
        mine = _Waiting(item)
        self._waiting.append(mine)
        while not mine.done:
            with self._turn:
                if not mine.done:
                    self._lead()
        if mine.error is not None:
            raise mine.error

    def _lead(self) -> None:
        """Write what waits, in the order in which it came."""
        group = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            self._store(group)
        finally:
            for waiting in group:
                if not waiting.done:
                    _end(waiting, errors.Unavailable("Storing it was interrupted; try again"))

    def _store(self, group: Sequence[_Waiting[T]]) -> None:
        error: exc.SQLAlchemyError | None = None
        try:
            self._write([waiting.item for waiting in group])
        except database.OUTAGES as outage:
            # It would not answer those either who came meanwhile, and they have waited for as long.
            error = outage
            group = [*group, *(self._waiting.popleft() for _ in range(len(self._waiting)))]
        except exc.SQLAlchemyError as fault:
            if len(group) > 1:
                for waiting in group:
                    self._store([waiting])
                return
            error = fault
        for waiting in group:
            _end(waiting, error)


def _end(waiting: _Waiting[Any], error: Exception | None) -> None:
    waiting.error, waiting.done = error, True
