"""What a document may be."""

from __future__ import annotations

from dataclasses import dataclass

from core import errors


@dataclass(frozen=True)
class Limits:
    """All of these raise InputTooLarge."""

    pages: int
    pixels: int  #: of one page

    def check_count(self, count: int) -> None:
        if count > self.pages:
            raise errors.InputTooLarge(f"The file has more than {self.pages} pages")

    def check_size(self, number: int, width: float, height: float) -> None:
        if width * height > self.pixels:
            size = f"{width:.0f} by {height:.0f} pixels"
            raise errors.InputTooLarge(f"Page {number} has {size}; it may have {self.pixels} in all")
