"""Whoever writes at the same moment writes together: one transaction, for whose end all of them wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

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
        faults: Sequence[Exception | None] = [errors.Unavailable("Storing it was interrupted; try again")] * len(group)
        try:
            faults = written(self._write, [waiting.item for waiting in group])
        finally:
            for waiting, fault in zip(group, faults, strict=True):
                waiting.error, waiting.done = fault, True
        if isinstance(faults[0], database.OUTAGES) and not database.is_of_others(faults[0]):
            # It would not answer those either who came meanwhile, and they have waited for as long.
            for _ in range(len(self._waiting)):
                behind = self._waiting.popleft()
                behind.error, behind.done = faults[0], True


def written(write: Callable[[Sequence[T]], object], items: Sequence[T]) -> list[Exception | None]:
    """Write several at once, or each alone where one of them cannot be stored; of each, why it was not. An outage is
    all of theirs: nobody knows what became of them."""
    try:
        write(items)
    except database.OUTAGES as error:
        return [error] * len(items)
    except exc.SQLAlchemyError as error:
        if len(items) == 1:
            return [error]
        return [fault for item in items for fault in written(write, [item])]
    return [None] * len(items)
