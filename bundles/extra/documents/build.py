"""Builds detect.onnx, recognize.onnx, LICENSE and golden.png, and measures what CARD.md says.

Model, fetched as a Python package:
  rapidocr 3.10.0 (Apache-2.0)  PP-OCRv6 `small`, its graphs for detection and recognition, byte for byte; the
                                characters are in the metadata of the second

Run: python bundles/extra/documents/build.py [measure]   (needs the [documents] and [cpu] extras; `measure` wants
     DejaVu fonts and takes a quarter of an hour)
"""

from __future__ import annotations

import hashlib
import io
import itertools
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PACKAGE = "rapidocr==3.10.0"
GRAPHS = {
    "detect.onnx": ("PP-OCRv6_det_small.onnx", "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"),
    "recognize.onnx": ("PP-OCRv6_rec_small.onnx", "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"),
}
GOLDEN = ["Coat check", "Ticket no. 4711", "One coat, one umbrella", "Please come back before 22:00."]
#: A4 at 200 pixels an inch, as most scanners give it.
PAGE, MARGIN, DPI = (1654, 2339), 150, 200
FONTS = {
    "sans": "DejaVuSans.ttf",
    "serif": "DejaVuSerif.ttf",
    "italic": "DejaVuSerif-Italic.ttf",
    "mono": "DejaVuSansMono.ttf",
}
#: Alone on a page, in a PDF's own fonts, of so many points, from so many points from the left and the foot.
SPARSE = ["Page three", "Page 3 of 3", "Total: 45.10 EUR", "J. Smith", "12/03/2024", "OK", "3"]
PDF_FONTS = ["Helvetica", "Helvetica-Bold", "Times-Roman", "Times-Italic", "Courier"]
POINTS = range(8, 21)
PLACES = [(80, 500), (72, 770), (260, 30), (400, 120)]
#: Of all of these, with each resolution.
DRAWN, DPIS = 40, (100, 150, 200, 300)
LANGUAGES = [
    "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg.",
    "Portez ce vieux whisky au juge blond qui fume, où l'été naît.",
    "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia.",
    "Pchnąć w tę łódź jeża lub ośm skrzyń fig.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Høj bly gom vandt fræk sexquiz på wc.",
    "Muzicologă în bej vând whisky și tequila, preț fix.",
    "Luís argüia à Júlia que «brações, fé, chá, óxido, pôr, zângão» eram palavras.",
]


def fetch() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch, PACKAGE]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(Path(scratch).glob("rapidocr-*.whl"))) as package:
            for name, (source, digest) in GRAPHS.items():
                data = package.read(f"rapidocr/models/{source}")
                if hashlib.sha256(data).hexdigest() != digest:
                    sys.exit(f"{source} is not the file that was measured")
                (HERE / name).write_bytes(data)
            licence = next(name for name in package.namelist() if name.endswith("/LICENSE"))
            (HERE / "LICENSE").write_bytes(package.read(licence))


def golden() -> None:
    """In the font that comes with Pillow."""
    page = Image.new("L", (640, 360), "white")
    draw = ImageDraw.Draw(page)
    for row, line in enumerate(GOLDEN):
        draw.text((40, 40 + 75 * row), line, font=ImageFont.load_default(34), fill="black")
    page.quantize(16).save(HERE / "golden.png", optimize=True)


def page(lines: list[str], font: ImageFont.FreeTypeFont) -> Image.Image:
    made = Image.new("RGB", PAGE, "white")
    draw = ImageDraw.Draw(made)
    for row, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + 1.5 * font.size * row), line, font=font, fill=(25, 25, 30))
    return made


def licence_text(count: int, columns: int = 64) -> list[str]:
    lines = [line.strip() for line in (ROOT / "LICENSE").read_text().splitlines()]
    return [line[:columns].strip() for line in lines if line][:count]


def invoice(count: int) -> list[str]:
    draw = random.Random(7)
    what = ["Cloak room service", "Umbrella", "Hat box (large)", "Storage, 3 days", "Lost ticket"]
    return [
        f"{draw.randrange(10**6):06d}  2026-{draw.randrange(1, 13):02d}-{draw.randrange(1, 29):02d}"
        f"  {draw.choice(what)}  {draw.randrange(1, 99)} x {draw.uniform(1, 999):.2f}  {draw.uniform(1, 9999):,.2f}"
        for _ in range(count)
    ]


def worn(clean: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """The page as cameras and scanners would give it."""
    noise = np.random.default_rng(7)
    yield "clean", clean
    yield "turned by 3°", clean.rotate(3, Image.Resampling.BICUBIC, fillcolor="white")
    yield "blurred", clean.filter(ImageFilter.GaussianBlur(1.5))
    speckled = np.asarray(clean, np.float32) * 0.5 + 70 + noise.normal(0, 25, (*PAGE[::-1], 1))
    yield "grey and noisy", Image.fromarray(speckled.clip(0, 255).astype(np.uint8))
    stream = io.BytesIO()
    clean.resize((PAGE[0] // 2, PAGE[1] // 2), Image.Resampling.BOX).save(stream, "JPEG", quality=30)
    yield "100 dpi, JPEG 30", Image.open(stream).convert("RGB")


def distance(one: str, other: str) -> int:
    """How many characters must be put in, taken out or changed to get from one text to the other."""
    codes, row = np.array([ord(letter) for letter in other]), np.arange(len(other) + 1)
    for letter in one:
        step = np.minimum(row[1:] + 1, row[:-1] + (codes != ord(letter)))
        row = np.concatenate(([row[0] + 1], step))
        row = np.minimum.accumulate(row - np.arange(len(row))) + np.arange(len(row))
    return int(row[-1])


def sparse_page(text: str, font: str, points: int, place: tuple[int, int]) -> bytes:
    """A PDF of one A4 page, without the table that readers make anew where it is missing."""
    drawn = f"BT /F {points} Tf {place[0]} {place[1]} Td ({text}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 4 0 R>>>>/Contents 5 0 R>>",
        f"<</Type/Font/Subtype/Type1/BaseFont/{font}>>",
        f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream",
    ]
    body = "".join(f"{number} 0 obj{item}\nendobj\n" for number, item in enumerate(objects, start=1))
    return f"%PDF-1.4\n{body}trailer<</Root 1 0 R>>\n%%EOF".encode()


def opened() -> Callable[[bytes, int], list[str]]:
    """What reads the lines of a file's first page, with so many pixels an inch."""
    sys.path.insert(0, str(ROOT))
    from inference import bundle, model
    from inference.interrupt import Interrupt

    reader = model.open_model(bundle.load(HERE), threads=1)

    def read(data: bytes, dpi: int) -> list[str]:
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(data)
            asked = {"dpi": dpi, "min_confidence": 0.5}
            found = reader.answer(Path(file.name), asked, progress=lambda _: None, interrupt=Interrupt())
        return [line["text"] for line in found["pages"][0]["lines"]]

    return read


def measure() -> None:
    read = opened()

    def show(what: str, pages: list[tuple[list[str], Image.Image]]) -> None:
        wrong = letters = took = 0.0
        for lines, made in pages:
            expected = " ".join(" ".join(lines).split())
            stream = io.BytesIO()
            made.save(stream, "PNG", compress_level=1)
            started = time.perf_counter()
            text = " ".join(read(stream.getvalue(), DPI))
            took += time.perf_counter() - started
            wrong, letters = wrong + distance(expected, text), letters + len(expected)
        right, each = 100 * (1 - wrong / letters), took / len(pages)
        print(f"| {what} | {len(pages)} | {letters:.0f} | {right:.2f} % | {each:.1f} s |", flush=True)

    measure_sparse(read)
    texts = {"English": licence_text(45), "invoice": invoice(45), "languages": LANGUAGES}
    made = {
        (text, name): page(lines, ImageFont.truetype(file, 31))
        for text, lines in texts.items()
        for name, file in FONTS.items()
    }
    for text, lines in texts.items():
        show(f"{text}, clean", [(lines, made[text, name]) for name in FONTS])
    changed: dict[str, list[tuple[list[str], Image.Image]]] = {}
    for text, name in (("English", "serif"), ("English", "sans"), ("invoice", "mono")):
        for how, image in worn(made[text, name]):
            changed.setdefault(how, []).append((texts[text], image))
    for how, pages in changed.items():
        show(how, pages)


def measure_sparse(read: Callable[[bytes, int], list[str]]) -> None:
    """Print what became of short lines on white pages, and each that was not read as it stands there."""
    drawn = random.Random(7).sample(list(itertools.product(SPARSE, PDF_FONTS, POINTS, PLACES)), DRAWN)
    for dpi in DPIS:
        fates: Counter[str] = Counter()
        for text, *how in drawn:
            lines = read(sparse_page(text, *how), dpi)
            whole, joined = lines == [text], " ".join(lines)
            fate = "whole" if whole else "in pieces" if joined == text else "wrong" if lines else "nothing"
            fates[fate] += 1
            if not whole:
                print(f"    {dpi} dpi, {how}: {text!r} as {lines}")
        counts = " | ".join(str(fates[fate]) for fate in ("whole", "in pieces", "wrong", "nothing"))
        print(f"| {dpi} | {DRAWN} | {counts} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        measure()
    else:
        fetch()
        golden()
