from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core import errors
from inference import lines, pages
from inference.documents import Reader
from inference.interrupt import Interrupt
from inference.limits import Limits
from tests.inference.paper import DOCUMENTS, ROOT, TEXT, Read, pdf, resident_mib, saved, several, written


def texts(result: dict[str, Any]) -> list[list[str]]:
    return [[line["text"] for line in page["lines"]] for page in result["pages"]]


def test_a_line_comes_with_its_place_and_its_confidence(read: Read) -> None:
    result = read(saved(written(), "PNG"))
    [page] = result["pages"]
    assert {name: page[name] for name in ("page", "width", "height")} == {"page": 1, "width": 480, "height": 200}
    assert (texts(result), result["page_count"], result["line_count"]) == ([TEXT], 1, 2)
    ink = np.asarray(written(TEXT[:1]).convert("L")) < 128
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    inked = [(columns[x], rows[y]) for x, y in ((0, 0), (-1, 0), (-1, -1), (0, -1))]
    assert np.array(page["lines"][0]["box"]) == pytest.approx(np.array(inked), abs=12)
    assert all(0.9 < line["confidence"] == round(line["confidence"], 4) <= 1 for line in page["lines"])


def with_alpha(page: Image.Image) -> Image.Image:
    """Black ink on nothing."""
    made = Image.new("RGBA", page.size)
    made.putalpha(page.convert("L").point(lambda value: 255 - value))
    return made


def sixteen_bits(page: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(page.convert("L")).astype(np.uint16) * 200)


@pytest.mark.parametrize(
    "make",
    [
        lambda page: saved(page, "JPEG", quality=50),
        lambda page: saved(page.convert("CMYK"), "JPEG"),
        lambda page: saved(page.quantize(4), "PNG"),
        lambda page: saved(with_alpha(page), "PNG"),
        lambda page: saved(sixteen_bits(page), "PNG"),
        lambda page: saved(page.convert("1"), "TIFF", compression="group4"),
        lambda page: saved(page, "TIFF", compression="tiff_lzw"),
        lambda page: saved(page.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=oriented(6)),
        lambda page: saved(page, "PDF", resolution=200),
    ],
    ids=["jpeg", "cmyk", "palette", "alpha", "16 bits", "fax", "lzw", "photo", "pdf"],
)
def test_the_same_page_gives_the_same_text_in_any_form(read: Read, make: Callable[[Image.Image], bytes]) -> None:
    result = read(make(written()))
    assert texts(result) == [TEXT]
    assert [result["pages"][0][side] for side in ("width", "height")] == pytest.approx([480, 200], abs=1)


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("degrees", [-20, -3, 3, 20])
def test_a_tilted_page_is_read_in_order(read: Read, degrees: int) -> None:
    text = ["A first line that is long", "short", "And a third that is long"]
    tilted = written(text, (560, 270)).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    assert texts(read(saved(tilted, "PNG"))) == [text]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_lies_on_its_side_or_head_is_read_in_order(read: Read, degrees: int) -> None:
    result = read(saved(written().rotate(degrees, expand=True), "PNG"))
    assert texts(result) == [TEXT]
    for line in result["pages"][0]["lines"]:
        x, y = np.subtract(line["box"][1], line["box"][0])
        assert round(np.degrees(np.arctan2(-y, x)) / 90) % 4 == degrees // 90


def test_what_stands_beside_each_other_is_read_from_left_to_right(read: Read) -> None:
    page = written(["Coat", "Hat"], (700, 200))
    page.paste(written(["12.50", "7.20"], (240, 200)), (440, 3))
    assert texts(read(saved(page, "PNG"))) == [["Coat", "12.50", "Hat", "7.20"]]


@pytest.mark.parametrize("form", ["TIFF", "PDF"])
def test_pages_are_read_in_order_and_progress_rises_to_one_within_and_between_them(read: Read, form: str) -> None:
    heard: list[float] = []
    data = several(form, written(["One", "page"]), written([]), written(["Three"]))
    result = read(data, heard.append)
    assert texts(result) == [["One", "page"], [], ["Three"]]
    assert [page["page"] for page in result["pages"]] == [1, 2, 3]
    # To find the lines of a page takes as long as to read fifteen.
    assert heard == pytest.approx([15 / 17 / 3, 16 / 17 / 3, 1 / 3, 2 / 3, (2 + 15 / 16) / 3, 1.0])


def test_what_has_no_letters_is_no_line(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Reader._line

    def nothing_at_first(self: Reader, page: Image.Image, box: Any, interrupt: Interrupt) -> Any:
        text, confidence, corners = whole(self, page, box, interrupt)
        return ("" if text == TEXT[0] else text), confidence, corners

    monkeypatch.setattr(Reader, "_line", nothing_at_first)
    assert texts(read(saved(written(), "PNG"), min_confidence=0)) == [TEXT[1:]]


def test_a_line_read_with_less_confidence_than_asked_is_left_out(read: Read) -> None:
    data = saved(written(["Clear", "~ 0O1Il| ~"]), "PNG")
    clear, doubtful = read(data, min_confidence=0)["pages"][0]["lines"]
    assert doubtful["confidence"] < clear["confidence"]
    assert read(data, min_confidence=clear["confidence"])["pages"][0]["lines"] == [clear]


def test_a_pdf_is_drawn_as_finely_as_asked(read: Read) -> None:
    sizes = [read(pdf(), dpi=dpi)["pages"][0] for dpi in (72, 144)]
    assert [(page["width"], page["height"]) for page in sizes] == [(200, 100), (400, 200)]


@pytest.mark.parametrize("inputs", [{"dpi": 1000}, {"dpi": "200"}, {"min_confidence": 1.1}, {"other": 1}])
def test_parameters_are_judged_by_the_manifest(read: Read, inputs: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInput):
        read(saved(written(), "PNG"), **inputs)


def test_runs_that_touch_are_one_line_however_they_wind() -> None:
    drawn = ["######....####", "#....#....#..#", "#....######..#", "#............#", "..####........"]
    likely = np.kron(np.array([[float(pixel == "#") for pixel in row] for row in drawn]), np.ones((4, 4)))
    assert sorted(np.ptp(box[:, 0]).round() > 50 for box in lines.find(likely)) == [False, True]


def test_another_thread_ends_a_run_in_the_middle_of_a_page(read: Read) -> None:
    data = several("TIFF", written(["One"]), written(TEXT * 12, (1900, 1900)))
    heard: list[float] = []
    raised: list[Exception] = []
    interrupt, begun, ended = Interrupt(), threading.Event(), threading.Event()

    def progress(fraction: float) -> None:
        heard.append(fraction)
        if fraction == 0.5:
            begun.set()

    def run() -> None:
        try:
            read(data, progress, interrupt)
        except errors.ModelInterrupted as error:
            raised.append(error)
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(30)
    interrupt.set()
    assert ended.wait(30)
    thread.join()
    assert (len(raised), heard[-1]) == (1, 0.5)


def test_a_page_that_takes_long_to_draw_is_given_up(tmp_path: Path) -> None:
    strokes = b"".join(b"0 %d m 200 %d l S\n" % (row % 100, row % 97) for row in range(500_000))
    content = b"<</Length %d>>stream\n%s\nendstream" % (len(strokes), strokes)
    (tmp_path / "file").write_bytes(pdf(b"/MediaBox[0 0 200 100]/Contents 4 0 R", content))
    interrupt = Interrupt()
    document = pages.opened(tmp_path / "file", Limits(1, 10**6), dpi=72, interrupt=interrupt)
    interrupt.set()
    with pytest.raises(errors.ModelInterrupted):
        document.page(1)


@pytest.mark.parametrize("form", ["TIFF", "PDF"])
def test_memory_does_not_grow_with_the_pages(tmp_path: Path, form: str) -> None:
    seen, count = [], 12
    (tmp_path / "file").write_bytes(several(form, *[written(TEXT, (2000, 2000))] * count))
    document = pages.opened(tmp_path / "file", Limits(count, 36_000_000), dpi=72, interrupt=Interrupt())
    for number in range(1, count + 1):
        assert document.page(number).size == (2000, 2000)
        seen.append(resident_mib())
    # As RGB, the second half would be 70 MiB.
    assert max(seen[count // 2 :]) - max(seen[: count // 2]) < 20


def test_without_the_extra_all_else_works_and_opening_a_document_says_what_to_install() -> None:
    code = f"""
import sys
from pathlib import Path
sys.modules["pypdfium2"] = None
import api, cli.main, jobs.attempt
from core import errors
from inference import bundle, check, model
check.check(bundle.load(Path({str(DOCUMENTS.parents[1] / "tumor")!r})))
try:
    check.check(bundle.load(Path({str(DOCUMENTS)!r})))
except errors.ModelUnavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "pip install -r requirements/documents.txt" in done.stdout, done.stderr
