"""The pages of a picture or a PDF as RGB images, one at a time.

Imported only where a document is opened: its libraries are those of the extra `documents`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from core import errors
from inference import pdf
from inference.interrupt import Interrupt
from inference.limits import Limits

FORMATS = ("PNG", "JPEG", "TIFF")
#: The first and the last mark of a PDF are within so many bytes of its edges.
EDGE = 1024

# Limits of ours come on top: Pillow only warns of what it holds for a decompression bomb.
warnings.simplefilter("error", Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Document:
    """An opened file; `page` takes a number, from 1, and raises InputUnreadable, InputTooLarge, ModelInterrupted."""

    count: int
    page: Callable[[int], Image.Image]


@contextmanager
def opened(path: Path, limits: Limits, *, dpi: int, interrupt: Interrupt) -> Iterator[Document]:
    """The file, whose format is told by its first bytes; raises InputUnreadable, InputTooLarge."""
    with path.open("rb") as file:
        is_pdf = b"%PDF-" in file.read(EDGE)
        file.seek(max(0, path.stat().st_size - EDGE))
        if is_pdf and b"%%EOF" not in file.read():
            raise errors.InputUnreadable("The file is cut short: it begins as a PDF, but does not end as one")
    if not is_pdf:
        with _picture(path, limits) as document:
            yield document
        return
    count = pdf.count(path, interrupt)
    limits.check_count(count)
    yield Document(count, functools.partial(pdf.page, path, limits=limits, dpi=dpi, interrupt=interrupt))


@contextmanager
def _decoding(what: str) -> Iterator[None]:
    """Decoders meet damage with almost any exception; here each of them is InputUnreadable."""
    try:
        yield
    except errors.CoatcheckError:
        raise
    except UnidentifiedImageError as error:
        raise errors.InputUnreadable(f"{what} cannot be read as PNG, JPEG, TIFF or PDF") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise errors.InputTooLarge(f"{what} has too many pixels") from error
    except Exception as error:
        raise errors.InputUnreadable(f"{what} cannot be decoded: {error}") from error


@contextmanager
def _picture(path: Path, limits: Limits) -> Iterator[Document]:
    with _decoding("The file"):
        image = Image.open(path, formats=FORMATS)
    with image:

        def page(number: int) -> Image.Image:
            with _decoding(f"Page {number}"):
                image.seek(number - 1)
                limits.check_size(number, *image.size)
                return _rgb(image)

        # Other formats have pictures that belong to one page: previews, the steps of an animation.
        yield Document(_count(image, limits) if image.format == "TIFF" else 1, page)


def _count(image: Image.Image, limits: Limits) -> int:
    """By going to each page, as what it takes to count all those of a hostile file has no bounds."""
    with _decoding("The file"):
        count = 0
        try:
            while True:
                image.seek(count)
                count += 1
                limits.check_count(count)
        except EOFError:
            return count


def _rgb(image: Image.Image) -> Image.Image:
    """A copy: upright, on white paper, eight bits a colour."""
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise errors.InputUnreadable("A pixel has 32 bits; it must have 16 at most")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
