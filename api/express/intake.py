"""Where the lane's jobs are stored: by a thread of its own, all that came while it stored the last ones at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from core import errors
from jobs.submit import MOST, NewJob, Submitter

log = structlog.get_logger()

#: So many wait at most, and so many of one tenant: others are taken in by the API.
ROOM, ROOM_OF_ONE = 256, 192

_Fault = Exception | None


class NotTried(Exception):
    """It was not even tried to store it here."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    new: NewJob
    stored: asyncio.Future[_Fault]


class Intake:
    """Of one event loop."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self._waiting: list[_Waiting] = []
        self._of: Counter[object] = Counter()
        self._thread = ThreadPoolExecutor(1, "express-intake")
        self._stores = False

    async def store(self, new: NewJob) -> _Fault:
        """None once it is stored; Unavailable where nobody knows whether it is; else why it is not: what
        `Submitter.submit` would have raised, or NotTried."""
        if len(self._waiting) >= ROOM or self._of[new.caller.tenant_id] >= ROOM_OF_ONE:
            return NotTried()
        mine = _Waiting(new, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        self._of[new.caller.tenant_id] += 1
        if not self._stores:
            self._begin()
        return await mine.stored

    def _taken(self, most: int) -> list[_Waiting]:
        group, self._waiting = self._waiting[:most], self._waiting[most:]
        self._of.subtract(waiting.new.caller.tenant_id for waiting in group)
        self._of = +self._of
        return [waiting for waiting in group if not waiting.stored.done()]  # but for clients that have gone

    def _begin(self) -> None:
        group = self._taken(MOST)
        self._stores = bool(group)
        if not group:
            return
        several = [waiting.new for waiting in group]
        try:
            storing = asyncio.get_running_loop().run_in_executor(self._thread, self._submitter.submit_all, several)
        except RuntimeError as error:  # there may be no thread more
            log.exception("no_intake", error=repr(error))
            self._stores = False
            _not_tried([*group, *self._taken(len(self._waiting))])
        else:
            storing.add_done_callback(lambda done: self._end(group, done))

    def _end(self, group: Sequence[_Waiting], done: asyncio.Future[list[_Fault]]) -> None:
        faults: Sequence[_Fault] = [errors.Unavailable("Nobody knows whether it was stored")] * len(group)
        if error := done.exception():
            log.error("bug", error=repr(error))
        else:
            faults = done.result()
        _tell(group, faults)
        if any(isinstance(fault, errors.Unavailable) for fault in faults):
            # They would wait for as long, for the same.
            _not_tried(self._taken(len(self._waiting)))
        self._begin()


def _tell(group: Sequence[_Waiting], faults: Sequence[_Fault]) -> None:
    for waiting, fault in zip(group, faults, strict=True):
        if not waiting.stored.done():
            waiting.stored.set_result(fault)


def _not_tried(group: Sequence[_Waiting]) -> None:
    _tell(group, [NotTried()] * len(group))
