"""From probabilities to segments: how long speech and silence have to be, at each limit."""

from __future__ import annotations

import pytest

from inference.segments import FRAME, Finder

LOUD, QUIET = 0.9, 0.0


def found(frames: list[float], length: int | None = None, **asked: float) -> list[tuple[float, float]]:
    """Their edges, in frames."""
    how = {"threshold": 0.5, "min_speech_ms": 0, "min_silence_ms": 0, "speech_pad_ms": 0, **asked}
    finder = Finder(**how)  # type: ignore[arg-type]
    finder.hear(frames)
    end = len(frames) * FRAME if length is None else length
    return [(start / FRAME, stop / FRAME) for start, stop in finder.segments(end)]


@pytest.mark.parametrize(("least", "kept"), [(63, True), (64, False), (65, False)])
def test_speech_is_longer_than_the_least(least: int, kept: bool) -> None:
    # Two frames are 64 ms.
    assert found([QUIET, LOUD, LOUD, QUIET], min_speech_ms=least) == ([(1, 3)] if kept else [])


@pytest.mark.parametrize(("least", "parts"), [(64, 2), (65, 1), (0, 2)])
def test_silence_ends_speech_when_it_is_as_long_as_the_least(least: int, parts: int) -> None:
    frames = [LOUD, QUIET, QUIET, QUIET, LOUD]
    assert found(frames, min_silence_ms=least) == ([(0, 1), (4, 5)] if parts == 2 else [(0, 5)])


@pytest.mark.parametrize(("probability", "begins"), [(0.5, True), (0.4999, False), (1.0, True)])
def test_speech_begins_at_the_threshold(probability: float, begins: bool) -> None:
    assert found([QUIET, probability, QUIET]) == ([(1, 2)] if begins else [])


@pytest.mark.parametrize(
    ("threshold", "probability", "goes_on"),
    [(0.5, 0.35, True), (0.5, 0.3499, False), (0.1, 0.01, True), (0.1, 0.0099, False)],
)
def test_speech_goes_on_down_to_a_lower_floor(threshold: float, probability: float, goes_on: bool) -> None:
    assert found([LOUD, probability, LOUD], threshold=threshold) == ([(0, 3)] if goes_on else [(0, 1), (2, 3)])


def test_speech_that_comes_back_in_time_was_not_interrupted_and_silence_is_counted_anew() -> None:
    frames = [LOUD, QUIET, LOUD, QUIET, LOUD, QUIET, QUIET, QUIET]
    assert found(frames, min_silence_ms=64) == [(0, 5)]


@pytest.mark.parametrize(
    ("pad", "edges"),
    [(0, [(2, 3), (5, 6)]), (16, [(1.5, 3.5), (4.5, 6.5)]), (32, [(1, 4), (4, 7)]), (64, [(0, 4), (4, 8)]),
     (960, [(0, 4), (4, 8)])],
)  # fmt: skip
def test_segments_are_padded_within_the_sound_and_up_to_each_other(pad: int, edges: list[tuple[float, float]]) -> None:
    frames = [QUIET, QUIET, LOUD, QUIET, QUIET, LOUD, QUIET, QUIET]
    assert found(frames, speech_pad_ms=pad) == edges


def test_what_is_settled_is_told_once_and_the_last_one_at_the_end() -> None:
    finder = Finder(threshold=0.5, min_speech_ms=0, min_silence_ms=0, speech_pad_ms=0)
    assert finder.settled() == []
    finder.hear([LOUD, QUIET])
    assert finder.settled() == []
    finder.hear([LOUD, QUIET, LOUD])
    assert finder.settled() == [(0, FRAME)]
    assert finder.settled() == []
    assert finder.segments(5 * FRAME) == [(start * FRAME, (start + 1) * FRAME) for start in (0, 2, 4)]
    assert finder.settled() == [(2 * FRAME, 3 * FRAME), (4 * FRAME, 5 * FRAME)]
    assert finder.settled() == []
