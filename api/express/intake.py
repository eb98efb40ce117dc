"""Where the lane's jobs are stored: by a thread of its own, all that came while it stored the last ones at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from core import errors
from jobs.submit import MOST, NewJob, Submitter

log = structlog.get_logger()

_Stored = asyncio.Future[Exception | None]


class Intake:
    """Of one event loop."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self._waiting: list[tuple[NewJob, _Stored]] = []
        self._thread = ThreadPoolExecutor(1, "express-intake")
        self._stores = False

    async def store(self, new: NewJob) -> Exception | None:
        """None once it is stored, and what `Submitter.submit` would have raised where it is not, or nobody knows."""
        stored: _Stored = asyncio.get_running_loop().create_future()
        self._waiting.append((new, stored))
        if not self._stores:
            self._begin()
        return await stored

    def _begin(self) -> None:
        group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        self._stores = bool(group)
        if group:
            several = [new for new, _ in group]
            storing = asyncio.get_running_loop().run_in_executor(self._thread, self._submitter.submit_all, several)
            storing.add_done_callback(lambda done: self._end([stored for _, stored in group], done))

    def _end(self, group: Sequence[_Stored], done: asyncio.Future[list[Exception | None]]) -> None:
        faults: Sequence[Exception | None] = [errors.Unavailable("Nobody knows whether it was stored")] * len(group)
        if error := done.exception():
            log.error("bug", error=repr(error))
        else:
            faults = done.result()
        for stored, fault in zip(group, faults, strict=True):
            if not stored.done():  # of a client that has gone
                stored.set_result(fault)
        self._begin()
