"""The pages of a PNG, JPEG or TIFF, by Pillow: their number, or the pixels of one of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from PIL import Image, ImageChops, ImageOps, MpoImagePlugin, TiffImagePlugin, UnidentifiedImageError

from core import errors
from inference.decoders import confined, rgb
from inference.limits import Limits

FORMATS = ("PNG", "JPEG", "TIFF")
#: Of a progressive JPEG: a few bytes each, and for each of them the decoder goes over the whole picture. Encoders write
#: about ten.
MAX_SCANS = 64
#: Of a page of a TIFF, each a few objects of Python; there are about 20 on a page.
MAX_TAGS = 1000

# A decoder opens no more files: what Pillow would import when it first opens one has to be here.
Image.preinit()
PLUGINS = (MpoImagePlugin, TiffImagePlugin)

#: ITU-T T.81, B.1.1: 0xFF, perhaps again and again, and what is neither that nor the zero behind a plain 0xFF of data.
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_END, _SCAN = 0xD9, 0xDA
#: Nothing belongs to these: TEM, the restarts, and the start of the picture.
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})


def decode(file: IO[bytes], pages: int, pixels: int, number: int, *_: int) -> Iterator[bytes]:
    """Raises InputUnreadable, InputTooLarge."""
    limits, what = Limits(pages, pixels), f"Page {number}" if number else "The file"
    with decoding(what, "PNG, JPEG, TIFF or PDF"):
        check_scans(file)
        with Image.open(file, formats=FORMATS) as image:
            if number:
                yield from _page(image, number, limits)
            else:
                # Other formats have pictures that belong to one page: previews, the steps of an animation.
                yield rgb.COUNT.pack(_count(image, limits) if image.format == "TIFF" else 1)


@contextmanager
def decoding(what: str, formats: str) -> Iterator[None]:
    """Decoders meet damage with almost any exception; here each of them is InputUnreadable."""
    try:
        yield
    except errors.CoatcheckError:
        raise
    except UnidentifiedImageError as error:
        raise errors.InputUnreadable(f"{what} cannot be read as {formats}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise errors.InputTooLarge(f"{what} has too many pixels") from error
    except MemoryError as error:
        raise errors.InputUnreadable(f"{what} cannot be decoded within {confined.MEMORY_BYTES >> 20} MiB") from error
    except Exception as error:
        raise errors.InputUnreadable(f"{what} cannot be decoded: {error}") from error


def check_scans(file: IO[bytes]) -> None:
    """Counts those of a JPEG without decoding it; raises InputTooLarge."""
    data = file.read() if file.read(2) == b"\xff\xd8" else b""
    place, scans = 0, 0
    while (found := _MARKER.search(data, place)) is not None and (marker := found[1][0]) != _END:
        place = found.end()
        if marker in _BARE:
            continue
        scans += marker == _SCAN
        if scans > MAX_SCANS:
            raise errors.InputTooLarge(f"The JPEG has more than {MAX_SCANS} scans")
        place += int.from_bytes(data[place : place + 2])
    file.seek(0)


def _count(image: Image.Image, limits: Limits) -> int:
    """By going to each page, as what it takes to count all those of a hostile file has no bounds."""
    count = 0
    try:
        while True:
            _turn_to(image, count + 1)
            count += 1
            limits.check_count(count)
    except EOFError:
        return count


def _turn_to(image: Image.Image, number: int) -> None:
    image.seek(number - 1)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and len(image.tag_v2) > MAX_TAGS:
        raise errors.InputTooLarge(f"Page {number} has more than {MAX_TAGS} tags")


def _page(image: Image.Image, number: int, limits: Limits) -> Iterator[bytes]:
    """Its size, and its rows: upright, on white paper, eight bits a colour. Some at a time, to hold it only once."""
    _turn_to(image, number)
    limits.check_size(number, *image.size)
    if image.mode in ("I", "F"):
        raise errors.InputUnreadable("A pixel has 32 bits; it must have 16 at most")
    ImageOps.exif_transpose(image, in_place=True)
    yield rgb.SIZE.pack(*image.size)
    rows = rgb.rows(image.width)
    for top in range(0, image.height, rows):
        yield _rgb(image.crop((0, top, image.width, min(top + rows, image.height)))).tobytes()


def _rgb(strip: Image.Image) -> Image.Image:
    if strip.mode.startswith("I;16"):
        return upper(strip, 255).convert("RGB")
    if strip.has_transparency_data:
        paper = Image.new("RGBA", strip.size, "white")
        return Image.alpha_composite(paper, strip.convert("RGBA")).convert("RGB")
    return strip.convert("RGB")


def upper(image: Image.Image, background: int) -> Image.Image:
    """Of 16 bits of gray the upper eight: of two bytes the second, but in one of the modes. A gray that stands for
    nothing shows the background."""
    data, place = image.tobytes(), image.mode != "I;16B"
    high = Image.frombytes("L", image.size, data[place::2])
    if (nothing := image.info.get("transparency")) is not None:
        low = Image.frombytes("L", image.size, data[not place :: 2])
        same = [
            half.point([255 * (value == byte) for value in range(256)])
            for half, byte in zip((high, low), divmod(nothing, 256), strict=True)
        ]
        high.paste(background, mask=ImageChops.darker(*same))
    return high


if __name__ == "__main__":
    # Limits of ours come on top: Pillow only warns of what it holds for a decompression bomb. For all of this process,
    # which decodes one file.
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    confined.run(decode)
