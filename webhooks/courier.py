"""Emptying the outbox: one loop of a process claims and settles, many threads call.

A commit waits for the disk, a call for the receiver: neither waits for the other.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy
import structlog

from core import broker, database
from core.setting_groups import Webhooks
from webhooks import outbox
from webhooks.outbox import Claimed, Done
from webhooks.sender import Sender
from webhooks.slots import Slots
from webhooks.verdict import Ending

log = structlog.get_logger()

T = TypeVar("T")

#: What was claimed and not begun for so long goes back: its endpoint may have changed by now, and a lease must outlive
#: the call that is still to come.
STALE_S = 5.0
#: How often the loop looks for what has become due, while it waits for answers.
LOOK_S = 0.5


class Courier:
    """One process's deliveries. However often it is woken, there is one loop."""

    def __init__(
        self,
        webhooks: Webhooks,
        engine: sqlalchemy.Engine,
        hints: broker.Hints,
        sender: Sender,
        *,
        worker: str,
        asked_to_stop: Callable[[], bool],
    ) -> None:
        schedule = webhooks.schedule
        #: How long a target that fails is left alone at first: as long as a delivery that failed.
        self._pause_s = schedule[min(1, len(schedule) - 1)]
        self._disable_s = webhooks.disable_s
        self._engine = engine
        self._hints = hints
        self._worker = worker
        self._asked_to_stop = asked_to_stop
        self._sender = sender
        self._senders = ThreadPoolExecutor(webhooks.senders, "sender")
        self._slots = Slots(webhooks.senders)
        self._most = outbox.PER_TARGET * webhooks.senders
        self._looping = threading.Lock()
        #: What came of calls; None says that there is something new to look for.
        self._inbox: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._claimed_at = 0.0
        self._look = True
        #: So many threads could not be started. What waits for one begins when something is handed in after it.
        self._late: queue.SimpleQueue[None] = queue.SimpleQueue()

    def drain(self) -> int:
        """Send what is due until nothing is; returns how many calls were settled, 0 where the loop runs already."""
        settled = 0
        self._inbox.put(None)
        while not self._inbox.empty() and self._looping.acquire(blocking=False):
            try:
                settled += self._loop()
            except database.OUTAGES as error:
                # What has been answered is settled when a chore, which needs the database too, wakes us again.
                log.warning("webhooks_interrupted", error=type(error).__name__)
                return settled
            finally:
                self._looping.release()
        return settled

    def _loop(self) -> int:
        settled, self._look = 0, True
        while self._look or not self._slots.idle or not self._inbox.empty():
            self._claim()
            self._begin()
            self._start_late()
            settled += self._settle(self._collect())
            stopping, stale = self._asked_to_stop(), time.monotonic() - STALE_S
            self._give_back(lambda item, stale=stale, stopping=stopping: stopping or item.claimed_at < stale)  # type: ignore[misc]
        return settled

    def _claim(self) -> None:
        """More, when there is room for it and somebody said so, or it is time to look."""
        now = time.monotonic()
        if not (self._look or now > self._claimed_at + LOOK_S) or self._slots.waiting > self._most // 2:
            return
        self._claimed_at, self._look = now, False
        if self._asked_to_stop():
            return
        # Before the claim: whatever is committed after it may hint again.
        self._hints.clear(broker.WEBHOOKS)
        try:
            found = outbox.claim(self._engine, worker=self._worker, most=self._most)
        except database.OUTAGES:
            if self._slots.idle:
                raise
            # What is being called at this moment has to be settled when the database is back.
            return
        self._slots.put(found)
        self._look = bool(found)

    def _begin(self) -> None:
        for delivery in self._slots.begin():
            self._start(self._call, delivery)

    def _start(self, call: Callable[..., object], *given: object) -> None:
        """Have a thread of the senders do it. While no more of them can be started it waits, as long as that takes."""
        try:
            self._senders.submit(call, *given)
        except RuntimeError:
            self._late.put(None)

    def _start_late(self) -> None:
        for _ in range(self._late.qsize()):
            self._late.get()
            self._start(int)

    def _call(self, delivery: Claimed) -> None:
        """Of a sender's thread: call, and go on with whatever there is a place for now."""
        done = self._sender.send(delivery)
        delivered = done.verdict.ending is Ending.DELIVERED
        self._slots.end(delivery, delivered=delivered)
        self._inbox.put(done)
        if delivered:
            self._begin()

    def _collect(self) -> list[Done]:
        """What has been answered, after waiting a little for it."""
        found = self._take(0.0 if self._slots.idle else LOOK_S)
        done = [item for item in found if item is not None]
        self._slots.known(len(done))
        self._look = self._look or len(done) < len(found)
        failing = {item.delivery.target for item in done if item.verdict.ending is not Ending.DELIVERED}
        if failing:
            self._give_back(lambda item: item.target in failing)
        return done

    def _take(self, timeout_s: float) -> list[Done | None]:
        found = []
        try:
            found.append(self._inbox.get(timeout=timeout_s))
            while True:
                found.append(self._inbox.get_nowait())
        except queue.Empty:
            return found

    def _settle(self, done: Sequence[Done]) -> int:
        if not done:
            return 0
        # A place has become free, which may be what something due was waiting for.
        self._look = True
        return self._insist(lambda: outbox.settle(self._engine, done, pause_s=self._pause_s, disable_s=self._disable_s))

    def _give_back(self, unwanted: Callable[[Claimed], bool]) -> None:
        """For later: its target fails, this process has to go, or it has been here for too long."""
        deliveries = self._slots.withdraw(unwanted)
        if deliveries:
            self._insist(lambda: outbox.give_back(self._engine, deliveries))

    def _insist(self, write: Callable[[], T]) -> T:
        """Repeat a fenced write through an outage, until the lease would have run out anyway."""
        return database.insist(write, for_s=outbox.LEASE_S)
