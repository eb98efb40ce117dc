"""One short line on a white page: a cover, a receipt, the last page with its number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.inference.paper import Read, pdf, saved

A4 = (1654, 2339)


def page(text: str, font: str, points: int, place: tuple[int, int]) -> bytes:
    """A PDF of one A4 page with a line in one of the fonts that every reader has."""
    drawn = b"BT /F %d Tf %d %d Td (%s) Tj ET" % (points, *place, text.encode())
    return pdf(
        b"/MediaBox[0 0 595 842]/Resources<</Font<</F 4 0 R>>>>/Contents 5 0 R",
        b"<</Type/Font/Subtype/Type1/BaseFont/%s>>" % font.encode(),
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
    )


def read_as(result: dict[str, Any]) -> list[str]:
    [found] = result["pages"]
    return [line["text"] for line in found["lines"]]


@pytest.mark.parametrize(
    ("text", "font", "points", "place", "dpi"),
    [
        ("Page three", "Helvetica", 12, (80, 500), 200),
        ("Page three", "Times-Roman", 14, (72, 770), 300),
        ("Page 3 of 3", "Times-Roman", 12, (260, 30), 150),
        ("Total: 45.10 EUR", "Helvetica", 10, (72, 770), 150),
        ("12/03/2024", "Courier", 14, (80, 500), 150),
        ("J. Smith", "Times-Italic", 16, (72, 770), 100),
        ("OK", "Times-Roman", 15, (400, 120), 200),
        ("3", "Helvetica", 14, (72, 770), 150),
    ],
)
def test_one_short_line_on_a_white_page_is_read(
    read: Read, text: str, font: str, points: int, place: tuple[int, int], dpi: int
) -> None:
    assert read_as(read(page(text, font, points, place), dpi=dpi)) == [text]


@pytest.mark.parametrize(
    ("ink", "paper", "degrees"),
    [
        ("black", "white", 90),
        ("black", "white", 180),
        ("white", "black", 0),
        ("navy", "khaki", 0),
        ("#aaa", "white", 0),
    ],
)
def test_and_so_it_is_on_its_side_in_colours_and_faint(read: Read, ink: str, paper: str, degrees: int) -> None:
    made = Image.new("RGB", np.floor_divide(A4, 2).tolist(), paper)
    ImageDraw.Draw(made).text((100, 600), "Page three", font=ImageFont.load_default(20), fill=ink)
    assert read_as(read(saved(made.rotate(degrees, expand=True), "PNG"))) == ["Page three"]
