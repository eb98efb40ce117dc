"""Documents to read, and the bundle that reads them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ROOT / "bundles" / "extra" / "documents"
TEXT = ["Hand in your coat", "Ticket no. 4711"]

Read = Callable[..., dict[str, Any]]


def written(text: Sequence[str] = TEXT, size: tuple[int, int] = (480, 200)) -> Image.Image:
    """White paper with a line every 75 pixels, in the font that comes with Pillow."""
    page = Image.new("RGB", size, "white")
    for row, line in enumerate(text):
        ImageDraw.Draw(page).text((40, 40 + 75 * row), line, font=ImageFont.load_default(34), fill="black")
    return page


def saved(image: Image.Image, form: str, **asked: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **asked)
    return stream.getvalue()


def several(form: str, *images: Image.Image, **asked: Any) -> bytes:
    return saved(images[0], form, save_all=True, append_images=images[1:], **asked)


def pdf(page: bytes = b"/MediaBox[0 0 200 100]", *more: bytes, trailer: bytes = b"", count: int = 1) -> bytes:
    """A PDF of one page, which is object 3, and objects from 4 on."""
    kids = b" ".join([b"3 0 R"] * count)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count),
        b"<</Type/Page/Parent 2 0 R%s>>" % page,
        *more,
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (size, trailer, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table) + end


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
