"""What the decoders of clients' files make of them, to the pixel and the sample, without a process of their own."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from core import errors
from inference.decoders import confined, mono, pdf, picture, rgb, sound
from inference.limits import MAX_SIDE
from tests.inference import paper
from tests.inference.hostile import jpeg, segment
from tests.inference.paper import saved, several, written

PAGES, PIXELS = 200, 36_000_000
TOO_LARGE, UNREADABLE = errors.InputTooLarge, errors.InputUnreadable
#: Nobody knows the password that would fit.
LOCK = b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -1>>" % (b"00" * 32, b"11" * 32)

Decode = Callable[..., list[bytes]]


@pytest.fixture
def decode(tmp_path: Path) -> Decode:
    """The pieces that a decoder makes of these bytes: how many pages there are, or the page `number`."""

    def run(data: bytes, number: int = 0, *, pages: int = PAGES, pixels: int = PIXELS, dpi: int = 72) -> list[bytes]:
        (tmp_path / "file").write_bytes(data)
        decoder = pdf if data.startswith(b"%PDF-") else picture
        with (tmp_path / "file").open("rb") as file:
            return list(decoder.decode(file, pages, pixels, number, dpi))

    return run


def page(decode: Decode, data: bytes, number: int = 1, dpi: int = 72) -> np.ndarray:
    """[height, width, 3]; every piece is whole rows, and as many as it may be but the last."""
    head, *pieces = decode(data, number, dpi=dpi)
    width, height = struct.unpack(">II", head)
    rows = confined.MOST // (width * 3)
    assert [len(piece) for piece in pieces[:-1]] == [rows * width * 3] * (math.ceil(height / rows) - 1)
    return np.frombuffer(b"".join(pieces), np.uint8).reshape(height, width, 3)


def drawing(width: int, height: int) -> Image.Image:
    """Of which no two rows and no two colours are the same."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack((x, y, x * 7 + y * 3), axis=2).astype(np.uint8))


def gray(values: list[list[int]], kind: str, **how: int) -> bytes:
    return saved(Image.fromarray(np.array(values, kind)), "TIFF" if kind.startswith(">") else "PNG", **how)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("form", ["TIFF", "PDF"])
def test_as_many_pages_are_counted_as_there_may_be_and_no_more(decode: Decode, form: str, count: int) -> None:
    data = several(form, *[written()] * count)
    for pages in (1, 2, 3, 4):
        if count <= pages:
            assert decode(data, pages=pages) == [struct.pack(">I", count)]
        else:
            with pytest.raises(TOO_LARGE, match=f"The file has more than {pages} pages"):
                decode(data, pages=pages)


@pytest.mark.parametrize(
    "data",
    [saved(written(), "PNG"), saved(written(), "JPEG"), several("PNG", written(), written([]))],
    ids=["png", "jpeg", "animation"],
)
def test_what_is_no_tiff_and_no_pdf_is_one_page(decode: Decode, data: bytes) -> None:
    assert decode(data) == [struct.pack(">I", 1)]


@pytest.mark.parametrize(
    "data",
    [saved(written([], (50, 20)), "PNG"), saved(written([], (50, 20)), "TIFF"), paper.pdf(b"/MediaBox[0 0 50 20]")],
    ids=["png", "tiff", "pdf"],
)
def test_a_page_may_have_so_many_pixels_and_not_one_more(decode: Decode, data: bytes) -> None:
    assert decode(data, 1, pixels=1000)[0] == struct.pack(">II", 50, 20)
    with pytest.raises(TOO_LARGE, match="Page 1 has 50 by 20 pixels; it may have 999 in all"):
        decode(data, 1, pixels=999)


@pytest.mark.parametrize("turned", [False, True])
def test_a_side_may_be_so_long_and_not_longer(decode: Decode, turned: bool) -> None:
    for side in (MAX_SIDE, MAX_SIDE + 1):
        size = (1, side) if turned else (side, 1)
        data = saved(Image.new("L", size), "PNG")
        if side == MAX_SIDE:
            assert decode(data, 1)[0] == struct.pack(">II", *size)
        else:
            with pytest.raises(TOO_LARGE, match=f"Page 1 has {size[0]} by {size[1]} pixels; a side may have 16384"):
                decode(data, 1)


def test_a_picture_on_a_page_has_the_limits_of_a_page(decode: Decode) -> None:
    content = b"<</Length 29>>stream\nq 200 0 0 100 0 0 cm /I Do Q\nendstream"
    image = (
        b"<</Type/XObject/Subtype/Image/Width 300/Height 100/ColorSpace/DeviceGray/BitsPerComponent 8/Length 30000>>"
    )
    on = b"/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>"
    data = paper.pdf(on, content, image + b"stream\n" + b"\x80" * 30_000 + b"\nendstream")
    assert decode(data, 1, pixels=30_000)[0] == struct.pack(">II", 200, 100)
    with pytest.raises(TOO_LARGE, match="Page 1 has 300 by 100 pixels"):
        decode(data, 1, pixels=29_999)


@pytest.mark.parametrize(
    "between",
    [b"", b"\xff" * 9, segment(0xFE, b"\xff\xda" * 9), segment(0xFE), b"\xff\x01", b"\xff\xd0", b"\xff\xd7\xff\0"],
    ids=["nothing", "filling", "comment", "empty comment", "TEM", "restart", "data"],
)
def test_a_jpeg_may_have_so_many_scans_and_not_one_more(decode: Decode, between: bytes) -> None:
    most = picture.MAX_SCANS
    assert most == 64
    assert decode(jpeg(most, side=16, between=between)) == [struct.pack(">I", 1)]
    with pytest.raises(TOO_LARGE, match="The JPEG has more than 64 scans"):
        decode(jpeg(most + 1, side=16, between=between))


def test_scans_within_a_preview_and_behind_the_picture_are_not_counted(decode: Decode) -> None:
    scans = segment(0xDA, bytes(6)) * 100
    made = jpeg(1, side=16)
    inside = made.replace(b"\xff\xd8", b"\xff\xd8" + segment(0xE1, b"Exif" + scans), 1)
    for data in (inside, made + scans):
        assert decode(data) == [struct.pack(">I", 1)]


def test_a_page_may_have_so_many_tags_and_not_one_more(decode: Decode) -> None:
    own = len(Image.open(io.BytesIO(saved(written(), "TIFF"))).tag_v2)  # type: ignore[attr-defined]
    for spare in (0, 1):
        data = saved(written(), "TIFF", tiffinfo=dict.fromkeys(range(40_000, 41_000 - own + spare), 1))
        if not spare:
            assert decode(data) == [struct.pack(">I", 1)]
            assert len(decode(data, 1)) > 1
        else:
            for number in (0, 1):
                with pytest.raises(TOO_LARGE, match="Page 1 has more than 1000 tags"):
                    decode(data, number)


@pytest.mark.parametrize(
    "data",
    [saved(drawing(900, 1100), "PNG"), saved(drawing(900, 1100), "TIFF"), saved(drawing(40, 9), "PNG")],
    ids=["png", "tiff", "small"],
)
def test_a_picture_comes_to_the_last_pixel_in_pieces_of_whole_rows(decode: Decode, data: bytes) -> None:
    assert (page(decode, data) == np.asarray(Image.open(io.BytesIO(data)))).all()


def test_each_page_of_a_tiff_is_its_own(decode: Decode) -> None:
    pages = [Image.new("RGB", (3, 2), colour) for colour in ("red", "lime", "blue")]
    data = several("TIFF", *pages)
    for number, one in enumerate(pages, start=1):
        assert (page(decode, data, number) == np.asarray(one)).all()
    with pytest.raises(UNREADABLE, match="Page 4 cannot be decoded"):
        decode(data, 4)


@pytest.mark.parametrize("dpi", [72, 144, 100])
def test_a_page_of_a_pdf_is_drawn_upright_in_its_colours(decode: Decode, dpi: int) -> None:
    strokes = b"1 0 0 rg 0 500 300 300 re f 0 0 1 rg 300 0 300 500 re f"
    content = b"<</Length %d>>stream\n%s\nendstream" % (len(strokes), strokes)
    drawn = page(decode, paper.pdf(b"/MediaBox[0 0 600 800]/Contents 4 0 R", content), dpi=dpi)
    height, width, _ = drawn.shape
    assert (width, height) == (math.ceil(600 * dpi / 72), math.ceil(800 * dpi / 72))
    corners = [drawn[y, x].tolist() for y in (1, -2) for x in (1, -2)]
    assert corners == [[255, 0, 0], [255] * 3, [255] * 3, [0, 0, 255]]


def test_pages_of_a_pdf_are_drawn_in_order(decode: Decode) -> None:
    data = several("PDF", *[Image.new("L", (width, 10), 255) for width in (10, 20, 30)])
    assert [page(decode, data, number).shape[1] for number in (1, 2, 3)] == [10, 20, 30]


@pytest.mark.parametrize(
    ("data", "shows"),
    [
        (saved(Image.new("RGBA", (1, 1), (255, 0, 0, 0)), "PNG"), [255, 255, 255]),
        (saved(Image.new("RGBA", (1, 1), (255, 0, 0, 255)), "PNG"), [255, 0, 0]),
        (saved(Image.new("LA", (1, 1), (0, 51)), "PNG"), [204, 204, 204]),
        (saved(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG", transparency=(1, 2, 3)), [255, 255, 255]),
        (saved(Image.new("RGB", (1, 1), (0, 0, 255)).quantize(2), "PNG", transparency=0), [255, 255, 255]),
        (saved(Image.new("RGB", (1, 1), (0, 0, 255)).quantize(2), "PNG"), [0, 0, 255]),
        (saved(Image.new("1", (1, 1), 1), "TIFF"), [255, 255, 255]),
        (saved(Image.new("CMYK", (1, 1), (0, 0, 0, 255)), "TIFF"), [0, 0, 0]),
        (gray([[0x1234]], "<u2"), [0x12] * 3),
        (gray([[0x1234]], ">u2"), [0x12] * 3),
        (gray([[0xFF00]], "<u2"), [0xFF] * 3),
        (gray([[0x1234]], "<u2", transparency=0x1234), [0xFF] * 3),
        (gray([[0x1235]], "<u2", transparency=0x1234), [0x12] * 3),
        (gray([[0x1334]], "<u2", transparency=0x1234), [0x13] * 3),
    ],
    ids=[
        "nothing", "ink", "a little ink", "a colour for nothing", "a palette with nothing", "a palette", "bits",
        "ink of four colours", "16 bits", "16 bits the other way round", "16 bits of white", "16 bits for nothing",
        "16 bits beside those for nothing", "16 bits above those for nothing",
    ],
)  # fmt: skip
def test_what_a_pixel_shows_on_white_paper_in_eight_bits(decode: Decode, data: bytes, shows: list[int]) -> None:
    assert page(decode, data).tolist() == [[shows]]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_pixel_of_32_bits_is_refused(decode: Decode, mode: str) -> None:
    with pytest.raises(UNREADABLE, match="A pixel has 32 bits; it must have 16 at most"):
        decode(saved(Image.new(mode, (2, 2)), "TIFF"), 1)


@pytest.mark.parametrize(
    ("value", "method"),
    [
        (1, None), (2, Image.Transpose.FLIP_LEFT_RIGHT), (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM), (5, Image.Transpose.TRANSPOSE), (6, Image.Transpose.ROTATE_270),
        (7, Image.Transpose.TRANSVERSE), (8, Image.Transpose.ROTATE_90),
    ],
)  # fmt: skip
def test_a_photo_is_turned_as_the_camera_says(decode: Decode, value: int, method: Image.Transpose | None) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    shot = drawing(6, 4)
    upright = shot if method is None else shot.transpose(method)
    assert (page(decode, saved(shot, "PNG", exif=exif)) == np.asarray(upright)).all()


@pytest.mark.parametrize(
    ("make", "number", "says"),
    [
        (lambda: b"", 0, "The file cannot be read as PNG, JPEG, TIFF or PDF"),
        (lambda: saved(written(), "GIF"), 0, "The file cannot be read as PNG, JPEG, TIFF or PDF"),
        (lambda: saved(written(), "PNG")[:-900], 1, "Page 1 cannot be decoded"),
        (lambda: b"%PDF-1.4\nhello\n%%EOF", 0, "The PDF is damaged, or has no pages"),
        (lambda: paper.pdf(count=0), 0, "The PDF is damaged, or has no pages"),
        (lambda: paper.pdf().replace(b"/Page/", b"/Pane/"), 1, "Page 1 is damaged"),
        (lambda: paper.pdf(trailer=LOCK), 0, "The PDF is protected by a password"),
    ],
    ids=["empty", "gif", "cut", "no pdf", "no pages", "no page", "password"],
)
def test_what_cannot_be_decoded_is_told_by_what_it_is(
    decode: Decode, make: Callable[[], bytes], number: int, says: str
) -> None:
    with pytest.raises(UNREADABLE, match=f"^{says}"):
        decode(make(), number)


@pytest.mark.parametrize(("width", "rows"), [(1, 349_525), (1000, 349), (349_525, 1), (400_000, 1)])
def test_a_piece_is_as_many_rows_as_fit_and_one_at_least(width: int, rows: int) -> None:
    assert rgb.rows(width) == rows


@pytest.fixture
def hear(tmp_path: Path) -> Callable[[bytes], tuple[list[float], np.ndarray]]:
    """The fractions that the blocks of a sound end at, and its samples."""

    def run(data: bytes) -> tuple[list[float], np.ndarray]:
        (tmp_path / "sound").write_bytes(data)
        with (tmp_path / "sound").open("rb") as file:
            pieces = list(sound.decode(file))
        head = mono.DONE.size
        blocks = [np.frombuffer(piece, np.float32, offset=head) for piece in pieces]
        return [mono.DONE.unpack_from(piece)[0] for piece in pieces], np.concatenate(blocks)

    return run


def recorded(samples: np.ndarray, rate: int = mono.RATE, form: str = "WAV", subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=form, subtype=subtype)
    return stream.getvalue()


Hear = Callable[[bytes], tuple[list[float], np.ndarray]]


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "FLAC"])
def test_a_sound_of_the_rate_that_is_wanted_comes_to_the_last_sample(hear: Hear, form: str) -> None:
    left = np.linspace(-0.5, 0.5, 20 * mono.RATE + 1)
    done, found = hear(recorded(np.stack((left, left / 2), axis=1), form=form))
    assert done == pytest.approx([8 / 20, 16 / 20, 1.0], abs=1e-4)
    assert len(found) == len(left)
    assert np.abs(found - left * 0.75).max() < 1e-4


@pytest.mark.parametrize(
    ("channels", "rate", "seconds", "blocks"),
    [(1, 16_000, 8, 1), (1, 8_000, 24, 3), (2, 16_000, 16, 2), (4, 16_000, 8, 2), (32, 16_000, 1, 2)],
)
def test_a_block_is_eight_seconds_or_what_fits_of_all_channels(
    hear: Hear, channels: int, rate: int, seconds: int, blocks: int
) -> None:
    done, found = hear(recorded(np.zeros((rate * seconds, channels)), rate))
    assert (len(done), done[-1], len(found)) == (blocks, 1.0, mono.RATE * seconds)
    assert done == sorted(set(done))


@pytest.mark.parametrize(
    ("rate", "channels", "says"),
    [
        (999, 1, "The file claims 999 samples a second"), (1000, 1, None), (768_000, 1, None),
        (768_001, 1, "The file claims 768001 samples a second"),
        (16_000, 31, None), (16_000, 32, None), (16_000, 33, "The file has 33 channels; it may have 32"),
    ],
)  # fmt: skip
def test_rates_and_channels_have_limits(hear: Hear, rate: int, channels: int, says: str | None) -> None:
    data = recorded(np.zeros((rate // 10, channels)), rate)
    if says is None:
        assert len(hear(data)[1]) == pytest.approx(1600, abs=20)
    else:
        with pytest.raises((TOO_LARGE, UNREADABLE), match=says):
            hear(data)


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [(0, UNREADABLE, "cannot be decoded|ends after"), (1, TOO_LARGE, "The file is longer than 24 hours")],
)
def test_a_sound_may_be_as_long_as_a_day(hear: Hear, more: int, error: type[Exception], says: str) -> None:
    data = bytearray(recorded(np.zeros(1000), form="FLAC"))
    data[22:26] = (16_000 * 3600 * 24 + more).to_bytes(4)
    with pytest.raises(error, match=says):
        hear(bytes(data))


@pytest.mark.parametrize("promised", [0, 1999, 2000, 2001, 2002, 0x7FFFEFFF, 0x7FFFF000, 0xFFFFFFFF])
def test_a_wav_that_promises_more_than_is_there_is_cut_short_unless_it_could_not_know(
    hear: Hear, promised: int
) -> None:
    data = recorded(np.zeros(1000))
    at = data.index(b"data") + 4
    made = data[:at] + struct.pack("<I", promised) + data[at + 4 :]
    if 2000 < promised < 0x7FFFF000:
        with pytest.raises(UNREADABLE, match=f"The file is cut short: 2000 of {promised} bytes of samples"):
            hear(made)
    elif promised == 0:
        with pytest.raises(UNREADABLE, match="The file holds no samples"):
            hear(made)
    else:
        assert len(hear(made)[1]) == (1000 if promised >= 2000 else 999)


@pytest.mark.parametrize("form", ["AIFF", "OGG", "W64", "AU"])
def test_a_sound_of_another_form_is_refused_by_its_name(hear: Hear, form: str) -> None:
    with pytest.raises(UNREADABLE, match=r"The file is .+; it must be WAV or FLAC"):
        hear(recorded(np.zeros(1000), form=form))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_refused(hear: Hear, value: float) -> None:
    samples = np.zeros(1000)
    samples[999] = value
    with pytest.raises(UNREADABLE, match="The file holds samples that are not finite numbers"):
        hear(recorded(samples, subtype="FLOAT"))
