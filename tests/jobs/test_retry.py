"""When something is tried again."""

from __future__ import annotations

import pytest

from core import errors
from jobs import retry


@pytest.mark.parametrize(("attempt", "most_s"), [(1, 5), (2, 20), (3, 80), (4, 300), (9, 300)])
def test_each_attempt_waits_four_times_as_long_as_the_one_before_and_none_longer_than_the_cap(
    attempt: int, most_s: float
) -> None:
    waits = [retry.delay_s(errors.Unavailable(), attempt=attempt, max_attempts=10, chance=part) for part in (0, 0.5, 1)]
    assert waits == [0, most_s / 2, most_s]


@pytest.mark.parametrize(("error", "attempt"), [(errors.ModelError(), 1), (errors.Unavailable(), 4)])
def test_what_would_fail_again_and_what_has_had_its_attempts_is_given_up(
    error: errors.CoatcheckError, attempt: int
) -> None:
    assert retry.delay_s(error, attempt=attempt, max_attempts=4, chance=0.5) is None


def test_what_could_not_begin_is_tried_again_within_half_and_one_and_a_half_of_the_pause() -> None:
    drawn = [retry.pause_s() for _ in range(2000)]
    assert 2 <= min(drawn) < 2.5
    assert 5.5 < max(drawn) <= 6
