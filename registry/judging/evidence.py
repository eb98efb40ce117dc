"""Whether a canary is worse than the stable version, looked at as often as one likes.

Only bad events count, and of each only on which of the two it was. Where a canary with the share p of their common
traffic is at most `tolerance` times as bad, the next bad event is its own with a probability of at most
p * tolerance / (p * tolerance + 1 - p), whatever the rate of bad events is and however it moves. `e` is the mean, over
how many times worse than that it might be, of the likelihood of what was seen against that bound: it is a
supermartingale, so that it ever reaches 1 / level has a probability of at most `level` (Ville). The share is that of
each event's own moment, so it may grow meanwhile. Lindon and Malek, NeurIPS 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: So many times worse than tolerated it may be; the last stands for one that does nothing else.
TIMES = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 1e6)
#: What a canary is that "needs about N more" to be found.
TWICE = 2.0
_NOTHING = (0.0,) * len(TIMES)


@dataclass(frozen=True)
class Evidence:
    """Of one kind of bad events: how many were the canary's and the stable version's, and what they say."""

    canary: int = 0
    stable: int = 0
    sums: Sequence[float] = _NOTHING  #: logarithms of the likelihoods, by TIMES

    def with_bad(self, *, canary: bool, share: float, tolerance: float) -> Evidence:
        """After one more bad event, while the canary had this share (more than 0 and less than 1)."""
        more = steps(canary=canary, share=share, tolerance=tolerance)
        sums = tuple(old + new for old, new in zip(self.sums, more, strict=True))
        return Evidence(self.canary + canary, self.stable + (not canary), sums)

    @property
    def log_e(self) -> float:
        """Of `e`, which may be more than a float holds."""
        most = max(self.sums)
        return most + math.log(sum(math.exp(item - most) for item in self.sums) / len(self.sums))

    def needs(self, exposed: int, *, share: float, tolerance: float, level: float) -> int | None:
        """About how many more requests to both it takes to find a canary TWICE as bad as is tolerated, as often as
        events have been bad so far; None while none was."""
        if not (self.canary + self.stable and exposed and 0 < share < 1):
            return None
        theirs = _odds(share, tolerance * TWICE)
        gain = sum(
            weight * steps(canary=canary, share=share, tolerance=tolerance)[TIMES.index(TWICE)]
            for canary, weight in ((True, theirs), (False, 1 - theirs))
        )
        left = math.log(len(TIMES) / level) - self.sums[TIMES.index(TWICE)]
        return max(0, math.ceil(left / gain * exposed / (self.canary + self.stable)))


def steps(*, canary: bool, share: float, tolerance: float) -> Sequence[float]:
    """What one bad event adds to the sums."""
    bound = _odds(share, tolerance)
    worse = [_odds(share, tolerance * times) for times in TIMES]
    return [math.log(item / bound) if canary else math.log((1 - item) / (1 - bound)) for item in worse]


def _odds(share: float, times: float) -> float:
    """How likely a bad event is the canary's that is so many times as bad."""
    return share * times / (share * times + 1 - share)
