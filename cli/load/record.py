"""What a load has come to so far; many threads write it."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from cli.load.histogram import Histogram

#: So many moments of a load are told apart, however long it is.
MOMENTS = 60


@dataclass
class Route:
    """What was asked of one route after the warm-up."""

    sent: int = 0
    ok: int = 0
    refused: int = 0
    took: Histogram = field(default_factory=Histogram)


@dataclass
class Tickets:
    """Jobs that were accepted, in the warm-up too, and what became of them."""

    accepted: int = 0
    done: int = 0
    failed: int = 0
    lost: int = 0

    @property
    def open(self) -> int:
        return self.accepted - self.done - self.failed - self.lost


class Record:
    """Latencies by route and over time, errors by code, tickets by their ends."""

    def __init__(self, warm_up_s: float, seconds: float) -> None:
        self.warm_up_s = warm_up_s
        self.seconds = seconds
        self.lasted_s = seconds  #: after the warm-up, which is less where it was stopped
        self.stopped = False
        self.routes: defaultdict[str, Route] = defaultdict(Route)
        self.moments = [Histogram() for _ in range(MOMENTS)]
        self.errors: Counter[tuple[str, str, bool]] = Counter()  #: by route, code and whether it is as it should be
        self.tickets = Tickets()
        self.lag = Histogram()
        self.unsent = 0
        self._lock = threading.Lock()

    def left(self, due_s: float, sent_s: float) -> None:
        """A request left so much later than it was due."""
        if due_s >= self.warm_up_s:
            with self._lock:
                self.lag.add(max(0.0, sent_s - due_s))

    def answered(self, route: str, due_s: float, now_s: float, code: str | None, *, expected: bool) -> None:
        """An answer, with its error code if it was one, and whether it is one that may be; the wait counts from when
        the request was due."""
        with self._lock:
            if code:
                self.errors[route, code, expected] += 1
            if due_s < self.warm_up_s:
                return
            found = self.routes[route]
            found.sent += 1
            if code and expected:
                found.refused += 1
                return
            found.ok += code is None
            found.took.add(now_s - due_s)
            place = int((due_s - self.warm_up_s) / self.seconds * MOMENTS)
            self.moments[min(place, MOMENTS - 1)].add(now_s - due_s)

    def accepted(self) -> None:
        with self._lock:
            self.tickets.accepted += 1

    def ended(self, how: str) -> None:
        """A ticket's end: `done`, `failed` or `lost`."""
        with self._lock:
            setattr(self.tickets, how, getattr(self.tickets, how) + 1)

    def not_sent(self, count: int) -> None:
        with self._lock:
            self.unsent += count

    def stop(self, now_s: float) -> None:
        """What is due from now on is none of it."""
        with self._lock:
            self.stopped, self.lasted_s = True, max(0.0, min(self.seconds, now_s - self.warm_up_s))

    @property
    def good(self) -> bool:
        """Whether it went to its end, every ticket has ended well, everything was sent, and no error came that should
        not."""
        tickets = self.tickets
        wrong = any(not expected for _, _, expected in self.errors)
        return not (self.stopped or wrong or tickets.lost or tickets.failed or tickets.open or self.unsent)
