"""From speech probabilities, one a frame, to segments of speech: hysteresis, shortest lengths, padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

#: Samples of a frame, and samples of a millisecond, at 16 kHz.
FRAME = 512
MS = 16

#: First sample, and the one after the last.
Segment = tuple[int, int]


class Finder:
    """Hears probabilities as they come and keeps no more than the segments."""

    def __init__(self, *, threshold: float, min_speech_ms: int, min_silence_ms: int, speech_pad_ms: int) -> None:
        self._threshold = threshold
        # Speech that has begun goes on until it is clearly less likely than where it began.
        self._floor = max(threshold - 0.15, 0.01)
        self._min_speech, self._min_silence, self._pad = min_speech_ms * MS, min_silence_ms * MS, speech_pad_ms * MS
        self._found: list[Segment] = []
        self._settled = 0
        self._length: int | None = None
        self._at = 0
        self._began: int | None = None
        self._quiet_since: int | None = None

    def hear(self, probabilities: Iterable[float]) -> None:
        """The next frames."""
        for probability in probabilities:
            self._step(probability)
            self._at += FRAME

    def segments(self, length: int) -> list[Segment]:
        """Everything found in an audio of so many samples; call once, at its end."""
        self._end(length)
        self._length = length
        return _padded(self._found, self._pad, length)

    def settled(self) -> list[Segment]:
        """Those that cannot change any more and were not given yet: the padding of one depends on the next."""
        ended = self._length is not None
        ready = len(self._found) if ended else len(self._found) - 1
        if ready <= self._settled:
            return []
        # The one before it says how much room there is on its left.
        begin = max(self._settled - 1, 0)
        padded = _padded(self._found[begin:], self._pad, self._length if self._length is not None else self._at)
        given, self._settled = padded[self._settled - begin : ready - begin], ready
        return given

    def _step(self, probability: float) -> None:
        if probability >= self._threshold:
            self._quiet_since = None
            if self._began is None:
                self._began = self._at
                return
        if probability < self._floor and self._began is not None:
            if self._quiet_since is None:
                self._quiet_since = self._at
            if self._at - self._quiet_since >= self._min_silence:
                self._end(self._quiet_since)

    def _end(self, at: int) -> None:
        if self._began is not None and at - self._began > self._min_speech:
            self._found.append((self._began, at))
        self._began = self._quiet_since = None


def _padded(found: Sequence[Segment], pad: int, length: int) -> list[Segment]:
    """Each segment wider by `pad` on both sides; neighbours share a gap that is too small for both."""
    if not found:
        return []
    gaps = [min(pad, (after[0] - before[1]) // 2) for before, after in pairwise(found)]
    room = [min(pad, found[0][0]), *gaps, min(pad, length - found[-1][1])]
    return [(start - left, end + right) for (start, end), (left, right) in zip(found, pairwise(room), strict=True)]
