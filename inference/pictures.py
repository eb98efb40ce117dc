"""Clients' pictures as pixels, a batch of them in one process of its own; what is wrong with one spoils no other."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core import errors
from inference import guarded
from inference.decoders import pixels
from inference.given import Floats
from inference.interrupt import Interrupt

WHAT = "The picture"

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Form:
    """What every picture is brought to, whatever it was: [height, width, channels]."""

    height: int
    width: int
    channels: int  #: 3, red, green and blue; or 1, gray
    fit: str
    background: int  #: a gray from 0 to 255

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    def shows(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of a picture of this size that it holds, in the picture's pixels: left, top, width and height. What
        it is padded by is beyond the edges."""
        if self.fit == "crop":
            scale = min(width / self.width, height / self.height)
            across, down = self.width * scale, self.height * scale
            return (width - across) / 2, (height - down) / 2, across, down
        if self.fit == "pad":
            inner = pixels.within(width, height, self.width, self.height)
            x, y = width / inner[0], height / inner[1]
            # As it was padded: what is computed back from x and y may be rounded the other way.
            left, top = round((self.width - inner[0]) / 2), round((self.height - inner[1]) / 2)
            return -left * x, -top * y, self.width * x, self.height * y
        return 0, 0, width, height


@dataclass(frozen=True, eq=False)
class Picture:
    """A client's, upright, of this size; and what it was brought to."""

    width: int
    height: int
    form: Form
    pixels: Pixels

    def own(self, boxes: Floats) -> Floats:
        """Boxes in pixels of the form, [boxes, 4], in those of the picture, cut off at its edges."""
        left, top, across, down = self.form.shows(self.width, self.height)
        scale = [across / self.form.width, down / self.form.height] * 2
        return np.clip(boxes * scale + [left, top] * 2, 0, [self.width, self.height] * 2)


Read = Picture | errors.InputUnreadable | errors.InputTooLarge


def read(pictures: Sequence[bytes], form: Form, interrupt: Interrupt) -> list[Read]:
    """The pixels of each, or what is wrong with it; raises ModelInterrupted, Unavailable."""
    found: list[Read] = []
    # The process ends with what one of them did to it; the others have another one.
    while len(found) < len(pictures):
        found += _together(pictures[len(found) :], form, interrupt)
    return found


def _together(pictures: Sequence[bytes], form: Form, interrupt: Interrupt) -> Iterator[Read]:
    """Of as many as one process answers, of the one that ended it too: at least one."""
    with _file(pictures) as path:
        asked = (*form.shape, pixels.FITS.index(form.fit), form.background)
        pieces = guarded.decoded("fitted", path, *asked, what=WHAT, interrupt=interrupt)
        with contextlib.closing(pieces):
            for _ in pictures:
                try:
                    found = _next(pieces, form)
                except (errors.InputUnreadable, errors.InputTooLarge) as error:
                    yield error
                    return
                yield found


@contextlib.contextmanager
def _file(pictures: Sequence[bytes]) -> Iterator[Path]:
    """All of them, as the decoder reads them; raises Unavailable where the disk is full."""
    with tempfile.NamedTemporaryFile(prefix="coatcheck-pictures-") as file:
        try:
            for picture in pictures:
                file.write(pixels.LENGTH.pack(len(picture)))
                file.write(picture)
            file.flush()
        except OSError as error:
            raise errors.Unavailable(f"Pictures cannot be handed to their decoder: {error.strerror}") from error
        yield Path(file.name)


def _next(pieces: Generator[bytes], form: Form) -> Read:
    """What a decoder, which may have been made to say anything, says of a picture; raises InputUnreadable."""
    first = next(pieces, b"")
    said = first[1:].decode(errors="replace")[: guarded.MAX_SENTENCE]
    match first[:1]:
        case pixels.TOO_LARGE:
            return errors.InputTooLarge(said)
        case pixels.UNREADABLE:
            return errors.InputUnreadable(said)
    found = first[:1] == pixels.FOUND and len(first) == 1 + pixels.SIZE.size
    width, height = pixels.SIZE.unpack(first[1:]) if found else (0, 0)
    whole, size = bytearray(), form.height * form.width * form.channels
    while width and height and len(whole) < size and (piece := next(pieces, b"")):
        whole += piece
    if len(whole) != size:
        raise errors.InputUnreadable(f"{WHAT} cannot be decoded")
    return Picture(width, height, form, np.frombuffer(whole, np.uint8).reshape(form.shape))
