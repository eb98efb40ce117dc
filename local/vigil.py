"""Who is silent, alive but giving no answer, and of whom a part stands still, while the rest may answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from core import alive
from local import child
from local.child import Child

#: How often each is asked, and how long it may be without an answer once it has given one.
ASK_EVERY_S = 5.0
SILENT_S = 60.0
#: How long a process may be stopped: no load and no outage does that, so there is nothing to wait for.
STOPPED_S = 10.0


class Vigil:
    """Asks every process that can be asked, each in its own time: one that hangs holds up no other."""

    def __init__(
        self,
        *,
        ask_every_s: float = ASK_EVERY_S,
        silent_s: float = SILENT_S,
        start_s: float = alive.START_S,
        stopped_s: float = STOPPED_S,
    ) -> None:
        self._ask_every_s = ask_every_s
        self._silent_s = silent_s
        self._start_s = start_s
        self._stopped_s = stopped_s
        # One for each process there may be, and some to spare.
        self._askers = ThreadPoolExecutor(16, thread_name_prefix="vigil")
        self._asked: dict[int, tuple[float, Future[bool]]] = {}
        self._heard: dict[int, float] = {}
        self._answered: dict[int, float] = {}
        self._looked_at = -ask_every_s
        self._stopped: dict[int, float] = {}  #: since when, by the pid of the first process

    def unwell(self, children: Sequence[Child]) -> Iterator[tuple[Child, str]]:
        """Who lives, and has to be started again, with the reason."""
        for item in self.silent(children):
            yield item, f"has not answered for {self._limit_s(item):.0f} s"
        for item in self.stopped(children):
            yield item, f"has been stopped for {self._stopped_s:.0f} s"
        for item in children:
            if item.program.has_room_again and item.program.has_room_again():
                yield item, "has room on its disk again, and needs a new start to use it"

    def silent(self, children: Iterable[Child]) -> list[Child]:
        """Those that have not answered for too long; waits for nobody."""
        now = time.monotonic()
        known = [item for item in children if item.alive and item.program.answers is not None]
        for record in (self._asked, self._heard, self._answered):
            for pid in record.keys() - {item.pid for item in known}:
                del record[pid]
        for item in known:
            # From the first look on: before it, nobody has asked.
            self._heard.setdefault(item.pid, now)
            self._ask(item, now)
        return [item for item in known if now - self._heard[item.pid] > self._limit_s(item)]

    def stopped(self, children: Sequence[Child]) -> list[Child]:
        """Those of which the process itself, or one that came of it, has been stopped for too long: it serves nobody,
        and where it was a parent, nobody starts its children again."""
        now = time.monotonic()
        if now - self._looked_at >= self._ask_every_s:
            self._looked_at = now
            still = [item.pid for item in children if any(map(child.is_stopped, child.tree(item.pid)))]
            self._stopped = {pid: self._stopped.get(pid, now) for pid in still}
        return [item for item in children if item.alive and now - self._stopped.get(item.pid, now) > self._stopped_s]

    def _ask(self, item: Child, now: float) -> None:
        asked_at, answer = self._asked.get(item.pid, (-self._ask_every_s, None))
        if answer is not None and answer.done() and answer.exception() is None and answer.result():
            self._heard[item.pid] = self._answered[item.pid] = max(asked_at, self._heard[item.pid])
        if (answer is None or answer.done()) and now - asked_at >= self._ask_every_s and item.program.answers:
            self._asked[item.pid] = (now, self._askers.submit(item.program.answers))

    def _limit_s(self, item: Child) -> float:
        return self._silent_s if item.pid in self._answered else self._start_s

    def heard(self, item: Child) -> float | None:
        """When it was asked what it last answered (monotonic); None before its first answer."""
        return self._answered.get(item.pid)

    def close(self) -> None:
        self._askers.shutdown(wait=False, cancel_futures=True)
