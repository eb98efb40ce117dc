"""Where lines of text are on a map of likely pixels, and in which order they are read: to the pixel, at each limit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inference import lines


def block(width: int, height: int, value: float = 1.0, at: tuple[int, int] = (30, 20)) -> np.ndarray:
    """A map with one rectangle."""
    found, (x, y) = np.zeros((200, 200), np.float32), at
    found[y : y + height, x : x + width] = value
    return found


@pytest.mark.parametrize("size", [(40, 10), (10, 40), (20, 20), (3, 3)])
@pytest.mark.parametrize("at", [(0, 0), (30, 20), (160, 160)])
def test_a_rectangle_is_found_where_it_is_and_spread_along_its_edge(size: tuple[int, int], at: tuple[int, int]) -> None:
    [found] = lines.find(block(*size, at=at))
    width, height = size
    spread = 1.6 * width * height / (width + height) / 2
    left, top, right, foot = at[0] - spread, at[1] - spread, at[0] + width + spread, at[1] + height + spread
    corners = np.array([(left, top), (right, top), (right, foot), (left, foot)])
    assert np.abs((np.roll(corners, -1, axis=0) if height > 1.5 * width else corners) - found).max() < 1e-6


@pytest.mark.parametrize(
    ("width", "height", "value", "count"),
    [
        (40, 2, 1, 0), (40, 3, 1, 1), (2, 40, 1, 0), (3, 40, 1, 1), (40, 10, 0.59, 0), (40, 10, 0.61, 1),
    ],
)  # fmt: skip
def test_what_is_too_thin_or_too_unlikely_is_no_line(width: int, height: int, value: float, count: int) -> None:
    assert len(list(lines.find(block(width, height, value)))) == count


@pytest.mark.parametrize(("value", "width"), [(0.29, 20), (0.31, 40)])
def test_a_pixel_belongs_to_a_line_from_where_it_is_text(value: float, width: int) -> None:
    likely = block(20, 10)
    likely[20:30, 50:70] = value
    [found] = lines.find(likely)
    assert found[1, 0] - found[0, 0] == pytest.approx(width + 1.6 * width * 10 / (width + 10))


@pytest.mark.parametrize(("width", "height", "turned"), [(10, 20, False), (10, 21, True), (20, 10, False)])
def test_what_is_much_taller_than_wide_runs_down_the_page(width: int, height: int, turned: bool) -> None:
    [found] = lines.find(block(width, height))
    along, across = found[1] - found[0], found[3] - found[0]
    assert bool(along[1] > abs(along[0])) is turned
    assert along @ across == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("value", "count"), [(0.59, 0), (0.61, 1)])
def test_a_line_at_the_foot_of_the_largest_page_is_judged_as_one_at_its_head_is(value: float, count: int) -> None:
    likely = np.full((2000, 2000), 0.29, np.float32)
    likely[1990:1996, 100:140] = value
    assert len(list(lines.find(likely))) == count


@pytest.mark.parametrize("gap", [0, 1])
@pytest.mark.parametrize("across", [False, True])
def test_what_touches_is_one_line_and_what_does_not_is_two(gap: int, across: bool) -> None:
    likely = block(20, 10)
    if across:
        likely[20:30, 50 + gap : 70 + gap] = 1
    else:
        likely[30 + gap : 40 + gap, 30:50] = 1
    assert len(list(lines.find(likely))) == 1 + gap


@pytest.mark.parametrize("left", [10, 50])
def test_what_touches_by_a_corner_only_is_two(left: int) -> None:
    likely = block(20, 10)
    likely[30:40, left : left + 20] = 1
    assert len(list(lines.find(likely))) == 2


def test_the_end_of_a_row_is_not_beside_the_beginning_of_the_next() -> None:
    likely = block(20, 10, at=(180, 20))
    likely[21:31, :20] = 1
    assert len(list(lines.find(likely))) == 2


@pytest.mark.parametrize("degrees", [-40, -12.35, 0.5, 7.7, 30, 44])
def test_a_tilted_line_is_found_with_its_tilt(degrees: float) -> None:
    x, y = np.meshgrid(np.arange(400), np.arange(400))
    angle = math.radians(degrees)
    along = (x - 200) * math.cos(angle) + (y - 200) * math.sin(angle)
    across = (y - 200) * math.cos(angle) - (x - 200) * math.sin(angle)
    [found] = lines.find(((abs(along) < 120) & (abs(across) < 10)).astype(np.float32))
    way = found[1] - found[0]
    assert math.degrees(math.atan2(way[1], way[0])) == pytest.approx(degrees, abs=0.5)
    assert found.mean(axis=0) == pytest.approx((200.5, 200.5), abs=1)
    spread = 1.6 * 240 * 20 / 260
    assert np.hypot(*way) == pytest.approx(240 + spread, abs=4)


def test_a_map_without_text_has_no_lines() -> None:
    assert list(lines.find(np.zeros((40, 60), np.float32))) == []


def box(x: float, y: float, width: float = 100, height: float = 20) -> np.ndarray:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], float)


@pytest.mark.parametrize(
    ("boxes", "order"),
    [
        ([], []),
        ([box(0, 0)], [0]),
        ([box(0, 60), box(0, 30), box(0, 0)], [2, 1, 0]),
        ([box(200, 0), box(0, 0), box(100, 0)], [1, 2, 0]),
        ([box(200, 5), box(0, 0), box(200, 40), box(0, 42)], [1, 0, 3, 2]),
        # In a row is what has its middle above the foot of the row's first.
        ([box(200, 0), box(0, 9)], [1, 0]),
        ([box(200, 0), box(0, 10)], [1, 0]),
        ([box(200, 0), box(0, 11)], [0, 1]),
        # Of the row's first, not of the one before it.
        ([box(400, 0), box(200, 8), box(0, 16)], [1, 0, 2]),
    ],
)
def test_lines_are_read_row_by_row_and_each_from_the_left(boxes: list[np.ndarray], order: list[int]) -> None:
    assert lines.reading_order(boxes) == order


@pytest.mark.parametrize("degrees", [-170, -90, -20, 15, 90, 180])
def test_and_so_they_are_whichever_way_the_page_was_turned(degrees: float) -> None:
    angle = math.radians(degrees)
    turn = np.array([(math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))])
    boxes = [box(200, 5), box(0, 0), box(200, 40), box(0, 42), box(0, 90)]
    assert lines.reading_order([each @ turn for each in boxes]) == [1, 0, 3, 2, 4]
