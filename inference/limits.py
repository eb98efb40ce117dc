"""What a document may be."""

from __future__ import annotations

from dataclasses import dataclass

from core import errors

#: Of a page, in pixels. What is longer is mostly its edge: a decoder takes memory and time for each of its rows.
MAX_SIDE = 16_384


@dataclass(frozen=True)
class Limits:
    """All of these raise InputTooLarge."""

    pages: int
    pixels: int  #: of one page

    def check_count(self, count: int) -> None:
        if count > self.pages:
            raise errors.InputTooLarge(f"The file has more than {self.pages} pages")

    def check_size(self, number: int, width: float, height: float) -> None:
        size = f"Page {number} has {width:.0f} by {height:.0f} pixels"
        if width * height > self.pixels:
            raise errors.InputTooLarge(f"{size}; it may have {self.pixels} in all")
        if max(width, height) > MAX_SIDE:
            raise errors.InputTooLarge(f"{size}; a side may have {MAX_SIDE}")
