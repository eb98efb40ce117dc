"""How callers behave: whoever makes errors again and again is held back, step by step, in all processes.

Who makes none costs a look into a dict. Errors are counted here, in this process; a step is a row, which every process
reads within LOOK_S, in a thread that no request waits for. While nobody asks, nothing is read.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping

import sqlalchemy
import structlog

from access import blocks
from access.blocks import Step
from access.credit import Credit
from access.ladder import Ladder, Level, Standing
from core import database, errors

log = structlog.get_logger()

LOOK_S = 1.0
#: So many callers' errors are remembered, of those who made one last.
MOST = 10_000
#: What a request that goes well gives back of an error: who succeeds four times as often as not is never held back.
GIVEN_BACK = 0.25
#: Of a key that this network has not tried yet, beside what the error weighs; so many of them are scanning.
NEW_KEY, SCANNING = 1.0, 5
#: What is left of its rates to who is slowed.
SLOWED = 0.25
MAX_RETRY_S = 60


class _Errors:
    """What somebody may still do wrong, and has since the last step."""

    __slots__ = ("at_s", "count", "left", "tried")

    def __init__(self, left: float, at_s: float) -> None:
        self.left, self.at_s, self.count = left, at_s, 0
        self.tried: set[str] = set()


class Conduct:
    """That of all callers, as one process knows it. Safe to use from any thread.

    A caller is a subject: `key:<id>`, or `address:<network>` for who has no key.
    """

    def __init__(self, engine: sqlalchemy.Engine, ladder: Ladder, credit: Credit | None = None) -> None:
        """`credit` is what went well at the express lane, which has no errors of its own to set against it."""
        self._engine, self._ladder, self._credit = engine, ladder, credit
        self._standing: Mapping[str, Standing] = {}
        self._ahead_s = 0.0
        self._lock = threading.Lock()
        self._errors: OrderedDict[str, _Errors] = OrderedDict()
        self._steps: dict[str, Step] = {}
        self._looking, self._due = threading.Lock(), 0.0
        self._closed = False

    def enter(self, subject: str) -> None:
        """Raises Blocked."""
        if (blocked := self.refusal(subject)) is not None:
            raise blocked

    def refusal(self, subject: str) -> errors.Blocked | None:
        """What somebody is told who is blocked."""
        self._attend()
        found = self.standing(subject)
        if found is None or found.level is not Level.BLOCKED:
            return None
        until = dt.datetime.fromtimestamp(found.until_s, dt.UTC)
        return errors.Blocked(
            f"Held back until {until:%Y-%m-%dT%H:%M:%SZ} for repeated errors",
            retry_after_s=self.left_s(subject),
            details={"level": found.level.word, "reason": found.reason},
        )

    def standing(self, subject: str) -> Standing | None:
        """Where somebody is on the ladder; None: not on it."""
        found = self._standing.get(subject)
        return None if found is None else found.at(self._now_s(), self._ladder)

    def left_s(self, subject: str) -> float:
        """For how long somebody is where it is; 0 for who is not on the ladder."""
        found = self.standing(subject)
        return 0.0 if found is None else max(1.0, found.until_s - self._now_s())

    def share(self, subject: str) -> float:
        """Which part of its rates somebody has."""
        if subject not in self._standing:
            return 1.0
        found = self.standing(subject)
        return 1.0 if found is None or found.level is Level.WARNED else SLOWED

    def went_well(self, subject: str) -> None:
        """A request of somebody did."""
        if (mine := self._errors.get(subject)) is not None:
            mine.left = min(self._ladder.errors, mine.left + GIVEN_BACK)

    def failed(self, subject: str, tenant_id: uuid.UUID | None, weight: float, *, tried: str = "") -> int:
        """A request of somebody did, by an error of this weight, and perhaps with a bad key of this id.

        Returns how long to wait, in seconds, to tell whoever is on the ladder; 0 for who is not.
        """
        if not self._ladder.errors:
            return 0
        now_s = time.monotonic()
        # Who makes the first has all of it left.
        well = self._credit.take(subject) if self._credit is not None and subject in self._errors else 0
        with self._lock:
            mine = self._known(subject, now_s)
            mine.left = min(self._ladder.errors, mine.left + well * GIVEN_BACK)
            if tried and tried not in mine.tried and len(mine.tried) < SCANNING:
                mine.tried.add(tried)
                weight += NEW_KEY
            mine.left = min(self._ladder.errors, mine.left + (now_s - mine.at_s) / self._ladder.refill_s) - weight
            mine.at_s, mine.count = now_s, mine.count + 1
            if mine.left < 0:
                reason = "scanning" if len(mine.tried) >= SCANNING else "errors"
                self._steps[subject] = self._next(subject, tenant_id, reason)
                del self._errors[subject]
                self._due = 0.0
        self._attend()
        return 0 if self.standing(subject) is None else min(2 ** min(mine.count, 10), MAX_RETRY_S)

    def close(self) -> None:
        """Wait for what is being written and read; nothing is from now on."""
        self._closed = True
        with self._looking:
            pass

    def _known(self, subject: str, now_s: float) -> _Errors:
        found = self._errors.setdefault(subject, _Errors(self._ladder.errors, now_s))
        self._errors.move_to_end(subject)
        if len(self._errors) > MOST:
            self._errors.popitem(last=False)
        return found

    def _next(self, subject: str, tenant_id: uuid.UUID | None, reason: str) -> Step:
        found = self.standing(subject)
        level, steps = (found.level, found.steps) if found is not None else (0, 0)
        return Step(subject, tenant_id, Level(min(level + 1, Level.BLOCKED)), steps + 1, reason)

    def _now_s(self) -> float:
        return time.monotonic() + self._ahead_s

    def _attend(self) -> None:
        """Have what is new written and read, if that is due and nobody is at it."""
        if self._closed or not self._ladder.errors or time.monotonic() < self._due:
            return
        if not self._looking.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._look, name="conduct", daemon=True).start()
        except RuntimeError:  # there may be no thread more: the next request tries again
            self._looking.release()

    def _look(self) -> None:
        with self._lock:
            steps, self._steps, self._due = self._steps, {}, time.monotonic() + LOOK_S
        try:
            with self._engine.begin() as connection:
                made = blocks.write(connection, steps.values(), self._ladder)
                now_s, found = blocks.standing(connection)
        except database.OUTAGES as error:
            log.warning("conduct_put_off", error=type(error).__name__)
            with self._lock:
                self._steps = {**steps, **self._steps}
        else:
            for step in made:
                blocks.tell(step)
            self._take(now_s, found)
        finally:
            self._looking.release()
        if not self._due:  # as a step came meanwhile, after which nobody may ask for long
            self._attend()

    def _take(self, now_s: float, found: Mapping[str, Standing]) -> None:
        """Who is somewhere else than before, wherever that was seen, begins anew."""
        with self._lock:
            for subject, _ in found.items() ^ self._standing.items():
                self._errors.pop(subject, None)
            if found:
                self._ahead_s = now_s - time.monotonic()
            self._standing = found
