"""How far somebody is held back, and what is left of it as time passes."""

from __future__ import annotations

import pytest

from access.ladder import Ladder, Level, Standing

LADDER = Ladder(spans_s=(30, 120, 600, 1800, 3600))
WARNED, SLOWED, BLOCKED = Level


@pytest.mark.parametrize(
    ("steps", "span_s"), [(1, 30), (2, 120), (3, 600), (4, 1800), (5, 3600), (6, 3600), (99, 3600)]
)
def test_each_step_holds_longer_than_the_last_up_to_an_hour(steps: int, span_s: float) -> None:
    assert LADDER.span_s(steps) == span_s


@pytest.mark.parametrize(
    ("now_s", "left"),
    [
        (999, (BLOCKED, 1000)),
        (1000, (SLOWED, 1120)),
        (1119, (SLOWED, 1120)),
        (1120, (WARNED, 1150)),
        (1149, (WARNED, 1150)),
        (1150, None),
        (9999, None),
    ],
)
def test_a_block_goes_down_one_level_at_a_time_and_then_is_no_more(
    now_s: float, left: tuple[Level, float] | None
) -> None:
    found = Standing(BLOCKED, 7, "errors", 1000).at(now_s, LADDER)
    assert (found and (found.level, found.until_s)) == left
    assert found is None or (found.steps, found.reason) == (7, "errors")
    assert 1000 + LADDER.below_s(BLOCKED) == 1150


@pytest.mark.parametrize(("level", "below_s"), [(WARNED, 0), (SLOWED, 30), (BLOCKED, 150)])
def test_what_is_below_a_level_takes_as_long_as_the_first_steps(level: Level, below_s: float) -> None:
    assert LADDER.below_s(level) == below_s
