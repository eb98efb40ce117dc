"""The pages of a picture or a PDF as RGB images, one at a time; each is decoded in a process of its own.

Imported only where a document is opened; PDFs need the extra `documents`.
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from core import errors
from inference import guarded
from inference.decoders import rgb
from inference.interrupt import Interrupt
from inference.limits import Limits

#: The first and the last mark of a PDF are within so many bytes of its edges.
EDGE = 1024


@dataclass(frozen=True)
class Document:
    """A file whose pages have been counted."""

    path: Path
    decoder: str
    limits: Limits
    dpi: int
    interrupt: Interrupt
    count: int

    def page(self, number: int) -> Image.Image:
        """The page `number`, from 1; raises InputUnreadable, InputTooLarge, ModelInterrupted."""
        what = f"Page {number}"
        asked = (self.limits.pages, self.limits.pixels, number, self.dpi)
        pieces = guarded.decoded(self.decoder, self.path, *asked, what=what, interrupt=self.interrupt)
        with contextlib.closing(pieces):
            width, height = _unpacked(rgb.SIZE, next(pieces, b""), what)
            self.limits.check_size(number, width, height)
            page, top = Image.new("RGB", (width, height)), 0
            for piece in pieces:
                rows, rest = divmod(len(piece), width * rgb.PIXEL_BYTES)
                if rest or not 0 < rows <= height - top:
                    raise _damaged(what)
                page.paste(Image.frombytes("RGB", (width, rows), piece), (0, top))
                top += rows
        if top != height:
            raise _damaged(what)
        return page


def opened(path: Path, limits: Limits, *, dpi: int, interrupt: Interrupt) -> Document:
    """The file, whose format is told by its first bytes; raises InputUnreadable, InputTooLarge, ModelInterrupted."""
    with path.open("rb") as file:
        is_pdf = b"%PDF-" in file.read(EDGE)
        file.seek(max(0, path.stat().st_size - EDGE))
        if is_pdf and b"%%EOF" not in file.read():
            raise errors.InputUnreadable("The file is cut short: it begins as a PDF, but does not end as one")
    decoder, what = "pdf" if is_pdf else "picture", "The PDF" if is_pdf else "The file"
    asked = (limits.pages, limits.pixels, 0, dpi)
    said = b"".join(guarded.decoded(decoder, path, *asked, what=what, interrupt=interrupt))
    [count] = _unpacked(rgb.COUNT, said, what)
    return Document(path, decoder, limits, dpi, interrupt, count)


def _unpacked(form: struct.Struct, said: bytes, what: str) -> tuple[int, ...]:
    """Numbers of a decoder, which may have been made to say anything."""
    if len(said) != form.size or 0 in (numbers := form.unpack(said)):
        raise _damaged(what)
    return numbers


def _damaged(what: str) -> errors.InputUnreadable:
    return errors.InputUnreadable(f"{what} cannot be decoded")
