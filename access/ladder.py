"""The ladder that repeated errors lead up, and the way down, which needs nobody's hand."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from dataclasses import dataclass


class Level(enum.IntEnum):
    """How far somebody is held back."""

    WARNED = 1  #: told so, and to wait longer after each error
    SLOWED = 2  #: has a part of its rates
    BLOCKED = 3  #: is answered nothing else

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Ladder:
    """When somebody takes a step up, and for how long."""

    errors: float = 20.0  #: that are borne at once; 0: as many as anybody likes
    refill_s: float = 3.0  #: in which one of them is forgotten
    #: How long the first step holds, the second, and so on; all beyond the last are as long as that.
    spans_s: tuple[float, ...] = (30.0, 120.0, 600.0, 1800.0, 3600.0)

    def span_s(self, steps: int) -> float:
        """How long the last of so many steps up holds."""
        return self.spans_s[min(steps, len(self.spans_s)) - 1]

    def below_s(self, level: int) -> float:
        """How long it takes from the end of this level to the end of the lowest one."""
        return sum(self.spans_s[: level - 1])


@dataclass(frozen=True)
class Standing:
    """Where somebody is on the ladder, after so many steps up; moments are epoch seconds of the database's clock."""

    level: Level
    steps: int
    reason: str
    until_s: float

    @property
    def told(self) -> str:
        """As an answer's X-Conduct says it."""
        until = dt.datetime.fromtimestamp(self.until_s, dt.UTC)
        return f"{self.level.word}; until={until:%Y-%m-%dT%H:%M:%SZ}; reason={self.reason}"

    def at(self, now_s: float, ladder: Ladder) -> Standing | None:
        """What is left of it at that moment; None: nothing."""
        level, until_s = int(self.level), self.until_s
        while until_s <= now_s and level > Level.WARNED:
            level -= 1
            until_s += ladder.spans_s[level - 1]
        if until_s <= now_s:
            return None
        return self if level == self.level else dataclasses.replace(self, level=Level(level), until_s=until_s)
