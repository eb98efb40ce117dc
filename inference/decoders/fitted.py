"""The pictures of a batch, by Pillow: each upright, without transparency, and of the size that a model takes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import IO

from PIL import Image, ImageOps, MpoImagePlugin, WebPImagePlugin

from core import errors
from inference.decoders import confined, picture, pixels

FORMATS = ("PNG", "JPEG", "WEBP")
#: Of these the further pictures are steps of an animation; of a JPEG, a camera's previews.
ANIMATED = ("PNG", "WEBP")
#: In all, and on one side: what a decoder holds at once fits its memory.
MAX_PIXELS, MAX_SIDE = 36_000_000, 16_384
#: A PNG's last chunk, which has nothing in it: Pillow misses neither it nor the last bytes of the chunk before it.
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
#: The widths of what is averaged grow with the picture, so that nothing of a large one is skipped.
FILTER = Image.Resampling.BILINEAR

# A decoder opens no more files.
Image.preinit()
PLUGINS = (MpoImagePlugin, WebPImagePlugin)


def decode(file: IO[bytes], height: int, width: int, channels: int, fit: int, background: int) -> Iterator[bytes]:
    """What is wrong with one of them is told in its place."""
    while head := file.read(pixels.LENGTH.size):
        data = file.read(*pixels.LENGTH.unpack(head))
        try:
            size, found = _pixels(data, (width, height), pixels.MODES[channels], pixels.FITS[fit], background)
        except errors.InputTooLarge as error:
            yield pixels.TOO_LARGE + error.message.encode()
        except errors.InputUnreadable as error:
            yield pixels.UNREADABLE + error.message.encode()
        else:
            yield pixels.FOUND + pixels.SIZE.pack(*size)
            yield from (found[start : start + confined.MOST] for start in range(0, len(found), confined.MOST))


def _pixels(data: bytes, size: tuple[int, int], mode: str, fit: str, background: int) -> tuple[tuple[int, int], bytes]:
    """With the size of the whole; raises InputUnreadable, InputTooLarge."""
    with picture.decoding("The picture", "PNG, JPEG or WebP"):
        stream = io.BytesIO(data)
        picture.check_scans(stream)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            # Pillow makes room for all pixels as soon as it opens one.
            _check_size(*_webp_size(data))
        with Image.open(stream, formats=FORMATS) as image:
            _check(image)
            if image.format == "PNG" and PNG_END not in data:
                raise errors.InputUnreadable("The picture is damaged or cut short: it has no end")
            # Loads it, and lets go of what it was loaded from.
            ImageOps.exif_transpose(image, in_place=True)
            return image.size, _fitted(_plain(image, mode, background), size, fit, background).tobytes()


def _check(image: Image.Image) -> None:
    """Before a pixel of it is decoded."""
    _check_size(*image.size)
    if image.format in ANIMATED and getattr(image, "is_animated", False):
        raise errors.InputUnreadable("The picture is animated: hand in one of its frames")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        limits = f"it may have {MAX_PIXELS} in all, and {MAX_SIDE} on a side"
        raise errors.InputTooLarge(f"The picture has {width} by {height} pixels; {limits}")


def _webp_size(data: bytes) -> tuple[int, int]:
    """As RFC 9649 has it: of the canvas, or of what there is alone, without or with loss; nothing of what is else."""
    head = int.from_bytes(data[:30], "little")
    match data[12:16]:
        case b"VP8X":
            return (head >> 24 * 8 & 0xFFFFFF) + 1, (head >> 27 * 8) + 1
        case b"VP8L":
            return (head >> 21 * 8 & 0x3FFF) + 1, (head >> 21 * 8 + 14 & 0x3FFF) + 1
        case b"VP8 ":
            return head >> 26 * 8 & 0x3FFF, head >> 28 * 8 & 0x3FFF
    return 0, 0


def _plain(image: Image.Image, mode: str, background: int) -> Image.Image:
    """Eight bits a colour, of 16 the upper ones; what is transparent shows the background."""
    if image.mode.startswith("I;16"):
        return picture.upper(image, background).convert(mode)
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        paper = Image.new("RGB", image.size, (background,) * 3)
        paper.paste(seen, mask=seen)
        return paper.convert(mode)
    return image.convert(mode)


def _fitted(image: Image.Image, size: tuple[int, int], fit: str, background: int) -> Image.Image:
    if fit == "crop":
        return ImageOps.fit(image, size, FILTER)
    if fit == "pad":
        # As `ImageOps.pad` does it, but for what is so thin that nothing would be left of it.
        inner = pixels.within(*image.size, *size)
        paper = Image.new(image.mode, size, (background,) * len(image.getbands()))
        left, top = ((side - of) / 2 for side, of in zip(size, inner, strict=True))
        paper.paste(image.resize(inner, FILTER), (round(left), round(top)))
        return paper
    return image.resize(size, FILTER)


if __name__ == "__main__":
    # Pillow's own limit on pixels is another one, and some of its warnings mean damage.
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    confined.run(decode)
