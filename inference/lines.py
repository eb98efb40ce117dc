"""From a map of how likely each pixel is text to the lines of text in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

#: A pixel is text from here; a line is one if its pixels are that likely on average.
PIXEL = 0.3
LINE = 0.6
#: The network marks the core of a line: its area times this, spread along its edge, is what it lacks on each side.
SPREAD = 1.6
#: Pixels of the map; what is thinner is no writing.
THINNEST = 3
#: What is this much taller than wide is a line that runs down the page.
UPRIGHT = 1.5

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Ints = np.ndarray[Any, np.dtype[np.intp]]


def find(likely: Floats) -> Iterator[Floats]:
    """The corners [4, 2] of each line, as x and y in the map: clockwise, from where its text would begin."""
    stride = likely.shape[1] + 1
    # One more column, without text, keeps runs of pixels within their row.
    flat = np.pad(likely, ((0, 0), (0, 1))).ravel()
    starts, ends = np.flatnonzero(np.diff(flat > PIXEL, prepend=False, append=False)).reshape(-1, 2).T
    area, total = ends - starts, np.concatenate(([0.0], np.cumsum(flat, dtype=np.float64)))
    group = _connected(starts, ends, stride)
    mean = np.bincount(group, total[ends] - total[starts]) / np.maximum(np.bincount(group, area), 1)
    rows = starts // stride
    order = np.argsort(group, kind="stable")
    for runs in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(runs) < THINNEST or mean[group[runs[0]]] < LINE:
            continue
        x = np.concatenate((starts[runs], ends[runs])) - np.tile(rows[runs] * stride, 2)
        y = np.tile(rows[runs], 2)
        middle, size, angle = _smallest_rectangle(np.concatenate((x, x)), np.concatenate((y, y + 1)))
        if size.min() >= THINNEST:
            yield _corners(middle, size + SPREAD * size.prod() / size.sum(), angle)


def reading_order(boxes: Sequence[Floats]) -> list[int]:
    """Which comes first: from top to bottom, and from left to right where several stand beside each other, as the lines
    run on average."""
    if not boxes:
        return []
    page = np.stack(boxes)
    x, y = (page[:, 1] - page[:, 0]).sum(axis=0)
    straight = page @ _axes(np.arctan2(y, x)).T
    left, middle, foot = straight[:, 0, 0], straight[:, :, 1].mean(axis=1), straight[:, 2:, 1].mean(axis=1)
    rows: list[list[int]] = []
    for line in np.argsort(middle).tolist():
        # One whose middle is below the foot of the row's first begins the next row.
        if not rows or middle[line] > foot[rows[-1][0]]:
            rows.append([])
        rows[-1].append(line)
    return [line for row in rows for line in sorted(row, key=left.item)]


def _connected(starts: Ints, ends: Ints, stride: int) -> Ints:
    """For each run of pixels the first run of the group that it belongs to: runs that touch between two rows."""
    first = np.searchsorted(ends, starts + stride, side="right")
    count = np.maximum(np.searchsorted(starts, ends + stride) - first, 0)
    above = np.repeat(np.arange(len(starts)), count)
    below = np.arange(len(above)) + np.repeat(first - np.cumsum(count) + count, count)
    group = np.arange(len(starts))
    while (group[above] != group[below]).any():
        one, other = group[above], group[below]
        np.minimum.at(group, np.maximum(one, other), np.minimum(one, other))
        while (group[group] != group).any():
            group = group[group]
    return group


def _smallest_rectangle(x: Ints, y: Ints) -> tuple[Floats, Floats, float]:
    """Middle, width and height, and angle (up to 45 degrees both ways) of the smallest rectangle around points."""
    points = np.stack((x, y), axis=1)
    angle = 0.0
    for reach, step in ((45.0, 1.0), (1.0, 0.05)):
        angles = angle + np.radians(np.arange(-reach, reach + step / 2, step))
        axes = np.stack((np.cos(angles), np.sin(angles)))
        along, across = points @ axes, points @ np.stack((-axes[1], axes[0]))
        angle = float(angles[np.argmin(np.ptp(along, axis=0) * np.ptp(across, axis=0))])
    turned = points @ _axes(angle).T
    low, high = turned.min(axis=0), turned.max(axis=0)
    return (low + high) / 2 @ _axes(angle), high - low, angle


def _corners(middle: Floats, size: Floats, angle: float) -> Floats:
    corners = middle + np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size / 2 @ _axes(angle)
    return np.roll(corners, -1, axis=0) if size[1] > UPRIGHT * size[0] else corners


def _axes(angle: float) -> Floats:
    """The directions along and across."""
    return np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
