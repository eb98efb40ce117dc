"""How long things took, in so little room that a load of any length fits: buckets, each 2 % wider than the last."""

from __future__ import annotations

import math
from collections import Counter

#: A percentile is at most so much above what was measured.
_WIDER = math.log(1.02)
_LEAST_S = 1e-5


class Histogram:
    """Counts of seconds; what it says is rounded up by at most 2 %."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.most_s = 0.0

    def add(self, seconds: float) -> None:
        self._buckets[math.ceil(math.log(max(seconds, _LEAST_S) / _LEAST_S) / _WIDER)] += 1
        self.count += 1
        self.most_s = max(self.most_s, seconds)

    def percentile(self, percent: float) -> float | None:
        """Seconds within which so many of a hundred were done; None where there were none."""
        wanted = math.ceil(self.count * percent / 100)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(self.most_s, _LEAST_S * math.exp(bucket * _WIDER))
        return None
