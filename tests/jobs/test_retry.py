"""When something is tried again."""

from __future__ import annotations

from jobs import retry


def test_what_could_not_begin_is_tried_again_within_half_and_one_and_a_half_of_the_pause() -> None:
    drawn = [retry.pause_s() for _ in range(2000)]
    assert 2 <= min(drawn) < 2.5
    assert 5.5 < max(drawn) <= 6
