"""From a client's picture to pixels: what is done to it, and what is wrong with one that has none."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from core import errors
from inference import pictures
from inference.decoders import fitted, pixels
from inference.interrupt import Interrupt
from inference.pictures import Form, Picture
from tests.conftest import until
from tests.inference import hostile
from tests.inference.drawn import Pixels, encoded, noise, plain
from tests.inference.test_decoders import decoders

SMALL = Form(8, 6, 3, "stretch", 255)


def read(*data: bytes, form: Form = SMALL) -> list[pictures.Read]:
    return pictures.read(data, form, Interrupt())


def one(data: bytes, form: Form = SMALL) -> Pixels:
    [found] = read(data, form=form)
    assert isinstance(found, Picture), found
    return found.pixels


def of(height: int, width: int, channels: int = 3, fit: str = "stretch", background: int = 255) -> Form:
    return Form(height, width, channels, fit, background)


def refused(data: bytes, kind: type[errors.CoatcheckError] = errors.InputUnreadable) -> str:
    [found] = read(data)
    assert type(found) is kind, found
    return found.message


def test_a_picture_of_the_right_size_is_handed_on_to_the_pixel() -> None:
    wanted = noise(8, 6)
    for data in (encoded(wanted), encoded(wanted, "WEBP", lossless=True)):
        assert (one(data) == wanted).all()
    jpeg = encoded(wanted, "JPEG", quality=70)
    assert (one(jpeg) == np.asarray(Image.open(io.BytesIO(jpeg)))).all()


def test_the_same_pixels_are_the_same_in_every_format_after_they_are_resized() -> None:
    drawn = noise(50, 70)
    wanted = np.asarray(Image.fromarray(drawn).resize((6, 8), Image.Resampling.BILINEAR))
    for data in (encoded(drawn), encoded(drawn, compress_level=0), encoded(drawn, "WEBP", lossless=True)):
        assert (one(data) == wanted).all()


def test_the_mean_of_a_large_picture_is_that_of_a_small_one() -> None:
    # A filter that looked at four pixels only would see a part of them.
    stripes = np.zeros((800, 600, 3), np.uint8)
    stripes[::2] = 200
    assert (abs(one(encoded(stripes)).astype(int) - 100) <= 1).all()


@pytest.mark.parametrize(("height", "width"), [(8, 6), (6, 8), (3, 30), (30, 3), (1, 1), (40, 30), (37, 61)])
def test_a_picture_of_another_shape_is_stretched_cropped_or_padded(height: int, width: int) -> None:
    drawn = noise(height, width)
    image, how = Image.fromarray(drawn), Image.Resampling.BILINEAR
    found = {fit: one(encoded(drawn), of(8, 6, fit=fit, background=114)) for fit in pixels.FITS}
    assert (found["stretch"] == np.asarray(image.resize((6, 8), how))).all()
    assert (found["crop"] == np.asarray(ImageOps.fit(image, (6, 8), how))).all()
    assert (found["pad"] == np.asarray(ImageOps.pad(image, (6, 8), how, color=(114, 114, 114)))).all()


def test_what_does_not_fit_is_cut_off_on_both_sides_or_has_the_background_around_it() -> None:
    drawn = np.zeros((4, 8, 3), np.uint8)
    drawn[:, 2:6] = 255
    assert (one(encoded(drawn), of(4, 4, fit="crop")) == 255).all()
    padded = one(encoded(np.zeros((4, 8, 3), np.uint8)), of(8, 8, fit="pad", background=7))
    assert (padded[:2] == 7).all()
    assert (padded[2:6] == 0).all()
    assert (padded[6:] == 7).all()


def test_a_gray_picture_becomes_three_channels_and_a_coloured_one_gray_as_a_model_asks() -> None:
    gray, coloured = noise(8, 6, 1), noise(8, 6)
    assert (one(encoded(gray)) == gray[..., None]).all()
    luma = np.asarray(Image.fromarray(coloured).convert("L"))
    assert abs(luma.astype(float) - coloured @ [0.299, 0.587, 0.114]).max() <= 1
    found = one(encoded(coloured), of(8, 6, channels=1))
    assert found.shape == (8, 6, 1)
    assert (found[..., 0] == luma).all()


@pytest.mark.parametrize("mode", ["1", "P", "L", "CMYK"])
def test_whatever_a_picture_is_made_of_its_pixels_are_those_that_everybody_sees(mode: str) -> None:
    image = Image.fromarray(noise(8, 6)).convert(mode)
    if mode == "CMYK":
        data = encoded(image, "JPEG", quality=95)
        wanted = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    else:
        data, wanted = encoded(image), np.asarray(image.convert("RGB"))
    assert (one(data) == wanted).all()


def test_of_sixteen_bits_the_upper_eight_are_taken() -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (8, 6), np.uint16)
    assert (one(encoded(Image.fromarray(deep))) == (deep >> 8)[..., None]).all()
    assert (one(hostile.png(6, 8, depth=16, colour=2, pixel_bytes=6)) == 0).all()


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
@pytest.mark.parametrize("background", [0, 128, 255])
def test_what_is_transparent_shows_the_background(form: str, background: int) -> None:
    drawn = noise(8, 6, 4)
    colours, alpha = drawn[..., :3].astype(float), drawn[..., 3:] / 255
    found = one(encoded(drawn, form, **({"lossless": True, "exact": True} if form == "WEBP" else {})),
                of(8, 6, background=background))  # fmt: skip
    assert abs(found - (colours * alpha + background * (1 - alpha))).max() <= 1


def test_a_colour_that_stands_for_nothing_shows_the_background_too() -> None:
    half = np.zeros((8, 6), np.uint8)
    half[:4] = 1
    palette = Image.fromarray(half, "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    found = one(encoded(palette, transparency=0), of(8, 6, background=9))
    assert (found[:4] == (40, 50, 60)).all()
    assert (found[4:] == 9).all()


def test_so_does_a_gray_of_sixteen_bits_and_no_gray_that_differs_in_one_of_its_bytes() -> None:
    deep = np.full((8, 6), 0x1234, np.uint16)
    deep[:2], deep[2:4] = 0x1235, 0x1334
    found = one(encoded(Image.fromarray(deep), transparency=0x1234), of(8, 6, background=9))
    assert (found[:2] == 0x12).all()
    assert (found[2:4] == 0x13).all()
    assert (found[4:] == 9).all()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_that_was_turned_makes_no_difference(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if form == "WEBP" else {}
    data = encoded(noise(30, 20), form, exif=exif, **lossless)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (one(data) == np.asarray(upright.resize((6, 8), Image.Resampling.BILINEAR))).all()


def garbled(data: bytes) -> bytes:
    return data[: len(data) // 2] + b"\x13" * (len(data) // 2) + data[-12:]


NOISE = noise(64, 64)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "The picture cannot be read as PNG, JPEG or WebP"),
        (b"\x89PNG\r\n\x1a\n", "The picture cannot be read as PNG, JPEG or WebP"),
        ("löwe 🦁".encode(), "The picture cannot be read as PNG, JPEG or WebP"),
        (b"%PDF-1.7", "The picture cannot be read as PNG, JPEG or WebP"),
        *((encoded(NOISE, form), "The picture cannot be read as PNG, JPEG or WebP")
          for form in ("GIF", "TIFF", "BMP", "PPM", "JPEG2000", "ICO")),
        *((encoded(NOISE, form)[:-600], "The picture cannot be ") for form in ("JPEG", "WEBP")),
        (encoded(NOISE)[:-1], "The picture is damaged or cut short: it has no end"),
        (encoded(NOISE)[:-600], "The picture is damaged or cut short: it has no end"),
        (encoded(NOISE)[:-20], "The picture is damaged or cut short: it has no end"),
        *((encoded(NOISE, form)[:-1], "The picture cannot be ") for form in ("JPEG", "WEBP")),
        *((garbled(encoded(NOISE, form)), "The picture cannot be ") for form in ("PNG",)),
        *((encoded(Image.fromarray(NOISE), form, save_all=True, append_images=[Image.fromarray(NOISE[::-1])]),
           "The picture is animated: hand in one of its frames") for form in ("PNG", "WEBP")),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_told_so(data: bytes, says: str) -> None:
    assert refused(data).startswith(says)


def test_the_previews_that_a_camera_adds_are_no_frames() -> None:
    drawn = Image.fromarray(noise(8, 6))
    data = encoded(drawn, "MPO", save_all=True, append_images=[drawn.resize((3, 4))])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert one(data).shape == SMALL.shape


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_may_have_so_many_pixels_whatever_has_to_be_done_to_it(form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    side = 6000
    assert side * side == fitted.MAX_PIXELS
    large = Image.new("RGB" if form == "JPEG" else "RGBA", (side, side), (1, 2, 3, 4)[: 3 if form == "JPEG" else 4])
    how = {"PNG": {"compress_level": 1}, "JPEG": {}, "WEBP": {"lossless": True, "method": 0, "quality": 0}}[form]
    assert one(encoded(large, form, exif=exif, **how)).shape == SMALL.shape


@pytest.mark.parametrize(
    ("width", "height"), [(6001, 6000), (60_000, 60_000), (16_385, 1), (1, 16_385), (2**31 - 1, 1)]
)
def test_a_picture_with_more_is_refused_before_one_is_decoded(width: int, height: int) -> None:
    head = hostile.png(1, 1, depth=8, colour=0, pixel_bytes=1)
    data = head[:16] + width.to_bytes(4) + height.to_bytes(4) + head[24:]
    limits = "it may have 36000000 in all, and 16384 on a side"
    data = data[:29] + zlib.crc32(data[12:29]).to_bytes(4) + data[33:]
    started = time.monotonic()
    assert refused(data, errors.InputTooLarge) == f"The picture has {width} by {height} pixels; {limits}"
    assert time.monotonic() - started < 20


#: What a WebP of 16,383 by 16,383, or of a canvas of 16,385 by 1, has in its head, and where.
SIDES = {
    "VP8 ": (26, (16_383 | 16_383 << 16).to_bytes(4, "little")),
    "VP8L": (21, (16_382 | 16_382 << 14).to_bytes(4, "little")),
    "VP8X": (24, (16_384).to_bytes(6, "little")),
}


HOW: dict[str, dict[str, Any]] = {"VP8 ": {}, "VP8L": {"lossless": True}, "VP8X": {"exif": b"x"}}


@pytest.mark.parametrize("form", SIDES)
def test_nor_is_room_made_for_the_pixels_of_a_webp(form: str) -> None:
    data, (place, sides) = encoded(Image.new("RGB", (4, 3)), "WEBP", **HOW[form]), SIDES[form]
    assert data[12:16] == form.encode()
    width, height = (16_385, 1) if form == "VP8X" else (16_383, 16_383)
    told = f"The picture has {width} by {height} pixels; it may have 36000000 in all, and 16384 on a side"
    assert refused(data[:place] + sides + data[place + len(sides) :], errors.InputTooLarge) == told


def test_a_webp_canvas_may_be_too_tall_as_well() -> None:
    data = encoded(Image.new("RGB", (4, 3)), "WEBP", **HOW["VP8X"])
    tall = data[:24] + (255 | 16_385 << 24).to_bytes(6, "little") + data[30:]
    assert refused(tall, errors.InputTooLarge).startswith("The picture has 256 by 16386 pixels; ")


def test_a_jpeg_that_is_decoded_again_and_again_is_refused() -> None:
    assert refused(hostile.jpeg(200), errors.InputTooLarge) == "The JPEG has more than 64 scans"


def test_what_is_wrong_with_one_spoils_no_other() -> None:
    good = [plain(number, 0, 0) for number in range(4)]
    too_large = hostile.jpeg(200)
    found = read(good[0], b"no", good[1], too_large, good[2], b"", good[3])
    assert [type(item).__name__ for item in found] == [
        "Picture", "InputUnreadable", "Picture", "InputTooLarge", "Picture", "InputUnreadable", "Picture",
    ]  # fmt: skip
    assert [int(item.pixels[0, 0, 0]) for item in found if isinstance(item, Picture)] == [0, 1, 2, 3]


def test_a_decoder_that_is_killed_by_one_of_them_reads_the_others() -> None:
    large = encoded(noise(3000, 3000))
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, large, plain(1, 2, 3))
        [pid] = until(lambda: decoders(os.getpid()))
        os.kill(pid, signal.SIGKILL)
        found = reading.result()
    assert isinstance(found[0], errors.InputUnreadable)
    assert "cannot be decoded, or not within 1024 MiB and 60 s" in found[0].message
    assert isinstance(found[1], Picture)


def test_who_wants_no_answer_any_more_waits_for_no_decoder() -> None:
    interrupt = Interrupt()
    threading.Timer(0.3, interrupt.set).start()
    long = [encoded(Image.new("RGB", (3000, 3000)))] * 200
    started = time.monotonic()
    with pytest.raises(errors.ModelInterrupted):
        pictures.read(long, SMALL, interrupt)
    assert time.monotonic() - started < 10
    until(lambda: not decoders(os.getpid()))


#: That a picture of this size was found.
SIX_BY_EIGHT = b"f" + pixels.SIZE.pack(6, 8)


@pytest.mark.parametrize(
    "said",
    [
        [],
        [b""],
        [b"x"],
        [b"f", bytes(144)],
        [SIX_BY_EIGHT],
        [SIX_BY_EIGHT, bytes(143)],
        [SIX_BY_EIGHT, bytes(145)],
        [SIX_BY_EIGHT + b"more", bytes(144)],
        [SIX_BY_EIGHT[:-1], bytes(144)],
        [b"x" + SIX_BY_EIGHT[1:], bytes(144)],
        [SIX_BY_EIGHT, b""],
        [b"f" + pixels.SIZE.pack(6, 0), bytes(144)],
        [b"f" + pixels.SIZE.pack(0, 8), bytes(144)],
    ],
    ids=str,
)
def test_a_decoder_is_not_believed(monkeypatch: pytest.MonkeyPatch, said: list[bytes]) -> None:
    monkeypatch.setattr("inference.guarded.decoded", lambda *_, **__: (piece for piece in said))
    [found] = pictures.read([b"any"], SMALL, Interrupt())
    assert isinstance(found, errors.InputUnreadable)
    assert found.message == "The picture cannot be decoded"


def test_a_long_sentence_of_a_decoder_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [b"u" + b"\xff" * 2**16]
    monkeypatch.setattr("inference.guarded.decoded", lambda *_, **__: (piece for piece in said))
    [found] = pictures.read([b"any"], SMALL, Interrupt())
    assert isinstance(found, errors.InputUnreadable)
    assert len(found.message) == 500


@pytest.mark.parametrize("size", [(640, 9), (1, 900), (30, 28), (28, 28), (100, 41), (41, 100), (7, 3)])
def test_a_picture_is_padded_as_pillow_does_it_but_something_is_left_of_the_thinnest(size: tuple[int, int]) -> None:
    drawn = Image.linear_gradient("L").resize(size)
    drawn.putpixel((0, 0), 255)
    found = fitted._fitted(drawn, (28, 28), "pad", 0)
    assert found.size == (28, 28)
    assert max(found.tobytes()) > 0
    if 0 not in ImageOps.contain(drawn, (28, 28)).size:
        assert found.tobytes() == ImageOps.pad(drawn, (28, 28), fitted.FILTER, color=(0,)).tobytes()
