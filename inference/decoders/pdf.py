"""The pages of a PDF, drawn by PDFium: their number, or the pixels of one of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import IO

import pypdfium2
from pypdfium2 import raw

from core import errors
from inference.decoders import confined, rgb
from inference.limits import Limits

POINTS_PER_INCH = 72
#: Fonts that a PDF names and does not hold are looked for on this machine.
FILES = 16


def decode(file: IO[bytes], pages: int, pixels: int, number: int, dpi: int) -> Iterator[bytes]:
    """Raises InputUnreadable, InputTooLarge."""
    limits, document = Limits(pages, pixels), _open(file.name)
    if number:
        yield from _drawn(document, number, dpi, limits)
    else:
        limits.check_count(len(document))
        yield rgb.COUNT.pack(len(document))


def _open(path: str) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise errors.InputUnreadable("The PDF is protected by a password") from error
        raise errors.InputUnreadable("The PDF is damaged, or has no pages") from error


def _drawn(document: pypdfium2.PdfDocument, number: int, dpi: int, limits: Limits) -> Iterator[bytes]:
    scale = dpi / POINTS_PER_INCH
    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError as error:
        raise errors.InputUnreadable(f"Page {number} is damaged") from error
    limits.check_size(number, *(math.ceil(side * scale) for side in page.get_size()))
    for picture in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        limits.check_size(number, *picture.get_px_size())
    bitmap = page.render(scale=scale, rev_byteorder=True)
    yield rgb.SIZE.pack(bitmap.width, bitmap.height)
    row = bitmap.width * rgb.PIXEL_BYTES
    piece, pixels = rgb.rows(bitmap.width) * row, memoryview(bitmap.buffer)
    for start in range(0, bitmap.height * row, piece):
        yield bytes(pixels[start : start + piece])


if __name__ == "__main__":
    confined.run(decode, FILES)
