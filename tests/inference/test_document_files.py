"""Files that are no documents, or too much of one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from core import errors
from tests.inference.paper import Read, pdf, resident_mib, saved, several, written

#: Nobody knows the password that would fit.
LOCK = b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -1>>" % (b"00" * 32, b"11" * 32)


def huge_png(width: int, height: int) -> bytes:
    """A head that claims so much, and no more than a few bytes behind it."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")


def squares(*sides: int) -> list[Image.Image]:
    return [Image.new("1", (side, side)) for side in sides]


def picture(width: int, height: int) -> bytes:
    """A PDF whose page is a small one, with a large picture on it."""
    content = b"<</Length 29>>stream\nq 200 0 0 100 0 0 cm /I Do Q\nendstream"
    image = b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8/Length 0>>"
    page = b"/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>"
    return pdf(page, content, image % (width, height) + b"stream\n\nendstream")


def inflating(mebibytes: int) -> bytes:
    """A PDF of a thousandth of that, which PDFium would unpack more than once."""
    packer = zlib.compressobj(9)
    content = b"".join(packer.compress(b" " * 2**20) for _ in range(mebibytes)) + packer.flush()
    head = b"<</Filter/FlateDecode/Length %d>>stream\n" % len(content)
    return pdf(b"/MediaBox[0 0 200 100]/Contents 4 0 R", head + content + b"\nendstream")


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: huge_png(6400, 6400), "Page 1 has 6400 by 6400 pixels"),
        (lambda: huge_png(10_000, 10_000), "too many pixels"),
        (lambda: huge_png(60_000, 60_000), "too many pixels"),
        (lambda: several("TIFF", *squares(*[1] * 201)), "more than 200 pages"),
        (
            lambda: several("TIFF", *[Image.new("1", (side, side)) for side in (9, 9000)], compression="group4"),
            "Page 2 has 9000",
        ),
        (lambda: pdf(b"/MediaBox[0 0 14400 14400]"), "Page 1 has 40000 by 40000 pixels"),
        (lambda: picture(60_000, 60_000), "Page 1 has 60000 by 60000 pixels"),
        (lambda: pdf(count=201), "more than 200 pages"),
    ],
    ids=["png", "bomb", "large bomb", "pages", "second page", "pdf", "picture in a pdf", "pages of a pdf"],
)
def test_what_would_take_too_much_memory_or_time_is_refused(read: Read, make: Callable[[], bytes], named: str) -> None:
    read(saved(written(), "PNG"))
    before = resident_mib()
    with pytest.raises(errors.InputTooLarge, match=named):
        read(make())
    assert resident_mib() - before < 100


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: b"", "cannot be read as PNG"),
        (lambda: b"a text, and a long one" * 100, "cannot be read as PNG"),
        (lambda: saved(written(), "GIF"), "cannot be read as PNG"),
        (lambda: saved(written(), "BMP"), "cannot be read as PNG"),
        (lambda: saved(written(), "PNG")[:30], "cannot be"),
        (lambda: saved(written(), "PNG")[:-900], "Page 1 cannot be decoded"),
        (lambda: saved(written(), "JPEG")[:-900], "Page 1 cannot be decoded"),
        (lambda: saved(written(), "TIFF")[:3000], "cannot be"),
        (lambda: several("TIFF", written(), written())[:-9000], "cannot be"),
        (lambda: saved(Image.new("F", (50, 50)), "TIFF"), "32 bits"),
        (lambda: saved(written(), "PDF")[:-900], "cut short"),
        (lambda: b"%PDF-1.4\nhello\n%%EOF", "The PDF is damaged"),
        (lambda: pdf(count=0), "has no pages"),
        (lambda: pdf().replace(b"/Page/", b"/Pane/"), "Page 1 is damaged"),
        (lambda: pdf(trailer=LOCK), "protected by a password"),
    ],
    ids=[
        "empty",
        "text",
        "gif",
        "bmp",
        "png head",
        "png cut",
        "jpeg cut",
        "tiff cut",
        "second page cut",
        "floats",
        "pdf cut",
        "no pdf",
        "no pages",
        "no page",
        "password",
    ],
)
def test_a_file_that_cannot_be_read_is_refused(read: Read, make: Callable[[], bytes], named: str) -> None:
    with pytest.raises(errors.InputUnreadable, match=named):
        read(make())


def test_a_pdf_that_unpacks_to_gigabytes_is_refused_and_takes_no_memory_here(read: Read) -> None:
    data, before = inflating(1000), resident_mib()
    with pytest.raises(errors.InputUnreadable, match="Page 1 cannot be decoded, or not within 1024 MiB"):
        read(data)
    assert resident_mib() - before < 50
