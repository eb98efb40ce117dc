"""What the networks that read documents are shown of a page and of a line: sizes and colours as they learned them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference.documents import Reader
from inference.interrupt import Interrupt
from inference.opened import FileModel

ORANGE = (255, 102, 0)
#: From the last channel to the first, which is how OpenCV has them.
BLUE_GREEN_RED = np.array([0, 0.4, 1])


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray[Any, Any]]:
    """What the networks of a reader are shown from here on, to which they say nothing."""
    seen: list[np.ndarray[Any, Any]] = []

    def run(_self: Reader, _session: object, pixels: np.ndarray[Any, Any], _interrupt: Interrupt) -> Any:
        seen.append(pixels)
        return np.zeros((1, *pixels.shape[2:]), np.float32)

    monkeypatch.setattr(Reader, "_run", run)
    return seen


@pytest.mark.parametrize(
    ("size", "width", "height"),
    [
        ((1000, 800), 992, 800), ((1024, 768), 1024, 768),
        # Enlarged to the shortest side, reduced to the longest, in steps of so many pixels, and never to nothing.
        ((480, 200), 1760, 736), ((736, 1040), 736, 1024), ((1, 1), 736, 736), ((3000, 3000), 1984, 1984),
        ((3000, 1500), 1984, 992), ((5000, 1), 1984, 32), ((1, 5000), 32, 1984),
    ],
)  # fmt: skip
def test_a_page_is_shown_as_large_and_in_the_colours_that_its_network_was_raised_on(
    reader: FileModel, shown: list[np.ndarray[Any, Any]], size: tuple[int, int], width: int, height: int
) -> None:
    assert isinstance(reader, Reader)
    assert reader._find(Image.new("RGB", size, ORANGE), Interrupt()) == []
    [pixels] = shown
    assert (pixels.shape, pixels.dtype) == ((1, 3, height, width), np.float32)
    wanted = (BLUE_GREEN_RED - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    for place in ((0, 0), (height - 1, width - 1)):
        assert pixels[0, :, *place] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("size", "width"),
    [((100, 50), 96), ((100, 48), 100), ((30, 20), 72), ((1, 100), 24), ((10, 20), 24), ((26, 48), 26),
     ((9000, 10), 3840), ((800, 10), 3840)],
)  # fmt: skip
def test_a_line_is_shown_as_high_as_all_and_neither_too_narrow_nor_too_wide(
    reader: FileModel, shown: list[np.ndarray[Any, Any]], size: tuple[int, int], width: int
) -> None:
    assert isinstance(reader, Reader)
    assert reader._read(Image.new("RGB", size, ORANGE), Interrupt()) == ("", 0.0)
    [pixels] = shown
    assert pixels.shape == (1, 3, 48, width)
    assert pixels[0, :, 0, 0] == pytest.approx((BLUE_GREEN_RED - 0.5) / 0.5, abs=1e-5)
