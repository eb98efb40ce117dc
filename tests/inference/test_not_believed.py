"""A decoder may have been made to say anything: what it says is measured before it is believed."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from core import errors
from inference import guarded, pages, waveform
from inference.decoders import confined
from inference.decoders.confined import END, MOST, PIECE, TOO_LARGE, UNREADABLE
from inference.interrupt import Interrupt
from inference.limits import Limits
from inference.pages import Document

DECODED = "The file cannot be decoded, or not within 1024 MiB and 60 s"


def framed(*parts: tuple[bytes, bytes]) -> bytes:
    return b"".join(confined.HEAD.pack(kind, len(piece)) + piece for kind, piece in parts)


def pieces(folder: Path, said: bytes, interrupt: Interrupt | None = None) -> list[bytes]:
    """What is taken of a decoder's output."""
    (folder / "output").write_bytes(said)
    with (folder / "output").open("rb") as output:
        return list(guarded._pieces(output.fileno(), "The file", interrupt or Interrupt()))


@pytest.mark.parametrize(
    "given",
    [[], [b""], [b"a", b"", b"bc"], [bytes(MOST)], [bytes(MOST), b"a"]],
    ids=["none", "empty", "several", "longest", "longest and more"],
)
def test_pieces_come_as_they_were_said(tmp_path: Path, given: Sequence[bytes]) -> None:
    said = framed(*((PIECE, piece) for piece in given), (END, b""))
    assert pieces(tmp_path, said) == given
    assert pieces(tmp_path, said + b"what comes behind the end") == given


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        (b"", errors.InputUnreadable, DECODED),
        (b"p\0\0", errors.InputUnreadable, DECODED),
        (framed((PIECE, b"abc"))[:-1], errors.InputUnreadable, DECODED),
        (framed((PIECE, b"abc")), errors.InputUnreadable, DECODED),
        (confined.HEAD.pack(PIECE, MOST + 1) + bytes(MOST + 1) + framed((END, b"")), errors.InputUnreadable, DECODED),
        (confined.HEAD.pack(TOO_LARGE, 2**32 - 1), errors.InputUnreadable, DECODED),
        (framed((TOO_LARGE, b"It is large")), errors.InputTooLarge, "It is large"),
        (framed((UNREADABLE, b"It is torn")), errors.InputUnreadable, "It is torn"),
        (framed((PIECE, b"a"), (UNREADABLE, "größer".encode())), errors.InputUnreadable, "größer"),
        (framed((UNREADABLE, b"\xff")), errors.InputUnreadable, "\ufffd"),
        (framed((UNREADABLE, b"x" * 500)), errors.InputUnreadable, "x" * 500),
        (framed((TOO_LARGE, b"x" * 501)), errors.InputTooLarge, "x" * 500),
    ],
    ids=[
        "nothing",
        "half a head",
        "half a piece",
        "no end",
        "a piece too long",
        "a sentence without end",
        "large",
        "torn",
        "torn behind a piece",
        "no text",
        "a long sentence",
        "a longer one",
    ],
)
def test_what_ends_too_early_or_is_too_long_is_the_files_failure(
    tmp_path: Path, said: bytes, error: type[errors.CoatcheckError], says: str
) -> None:
    with pytest.raises(error) as caught:
        pieces(tmp_path, said)
    assert (type(caught.value), caught.value.message) == (error, says)


def test_a_wish_to_stop_is_looked_at_before_what_was_said(tmp_path: Path) -> None:
    interrupt = Interrupt()
    interrupt.set()
    with pytest.raises(errors.ModelInterrupted):
        pieces(tmp_path, framed((PIECE, b"abc"), (END, b"")), interrupt)


SAMPLES = np.array([0.5, -0.5], np.float32).tobytes()


@pytest.mark.parametrize("done", [1e-9, 0.5, 1.0])
@pytest.mark.parametrize("samples", [b"", SAMPLES])
def test_a_block_is_a_fraction_and_its_samples(done: float, samples: bytes) -> None:
    found, heard = waveform._block(struct.pack("=d", done) + samples)
    assert (found.tobytes(), heard) == (samples, done)


@pytest.mark.parametrize(
    "piece",
    [
        b"", b"\0" * 7, struct.pack("=d", 0.5) + b"\0", struct.pack("=d", 0.5) + SAMPLES[:-1], struct.pack("=f", 0.5),
        *(struct.pack("=d", done) + SAMPLES for done in (0.0, -0.5, 1.0001, float("nan"), float("inf"))),
    ],
    ids=["empty", "seven", "a byte more", "a byte less", "four", "zero", "below", "above", "nan", "infinite"],
)  # fmt: skip
def test_a_block_that_makes_no_sense_is_refused(piece: bytes) -> None:
    with pytest.raises(errors.InputUnreadable, match=r"^The file cannot be decoded$"):
        waveform._block(piece)


@pytest.mark.parametrize(
    "said",
    [b"", b"\0" * 3, b"\0" * 4, b"\0" * 5, struct.pack(">II", 2, 0), struct.pack(">II", 0, 2)],
    ids=["empty", "three", "a zero", "five", "no height", "no width"],
)
def test_numbers_of_a_decoder_are_as_many_as_asked_for_and_none_is_zero(said: bytes) -> None:
    for form in (struct.Struct(">I"), struct.Struct(">II")):
        with pytest.raises(errors.InputUnreadable, match=r"^Page 3 cannot be decoded$"):
            pages._unpacked(form, said, "Page 3")


def test_numbers_of_a_decoder_are_read_as_it_writes_them() -> None:
    assert pages._unpacked(struct.Struct(">II"), b"\0\0\1\2\0\0\0\3", "") == (258, 3)


#: Of two by three pixels.
SIZE, ROW = struct.pack(">II", 2, 3), bytes(range(6))


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ([SIZE, ROW * 3], True), ([SIZE, ROW, ROW * 2], True), ([SIZE, ROW, ROW, ROW], True),
        ([SIZE], False), ([SIZE, ROW * 2], False), ([SIZE, ROW * 4], False), ([SIZE, ROW * 3, ROW], False),
        ([SIZE, ROW * 3, b""], False), ([SIZE, b"", ROW * 3], False), ([SIZE, ROW * 2, ROW[:-1]], False),
        ([SIZE, ROW + b"\0", ROW * 2], False), ([], False), ([struct.pack(">II", 0, 3)], False),
    ],
    ids=[f"case{number}" for number in range(13)],
)  # fmt: skip
def test_a_page_is_all_of_its_rows_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[bytes], right: bool
) -> None:
    def decoded(*_: object, **__: object) -> Iterator[bytes]:
        yield from said

    monkeypatch.setattr(guarded, "decoded", decoded)
    document = Document(tmp_path, "picture", Limits(1, 6), 72, Interrupt(), 1)
    if right:
        assert np.asarray(document.page(1)).tobytes() == ROW * 3
    else:
        with pytest.raises(errors.InputUnreadable, match=r"^Page 1 cannot be decoded$"):
            document.page(1)


def test_a_page_is_measured_again_before_there_is_memory_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: object, **__: object) -> Iterator[bytes]:
        yield SIZE
        yield ROW * 3

    monkeypatch.setattr(guarded, "decoded", decoded)
    with pytest.raises(errors.InputTooLarge, match="Page 1 has 2 by 3 pixels; it may have 5 in all"):
        Document(tmp_path, "picture", Limits(1, 5), 72, Interrupt(), 1).page(1)
