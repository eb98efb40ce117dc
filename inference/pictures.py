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
from inference.interrupt import Interrupt

WHAT = "The picture"

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Read = Pixels | errors.InputUnreadable | errors.InputTooLarge


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
    whole, size = bytearray(), form.height * form.width * form.channels
    while first == pixels.FOUND and len(whole) < size and (piece := next(pieces, b"")):
        whole += piece
    if first != pixels.FOUND or len(whole) != size:
        raise errors.InputUnreadable(f"{WHAT} cannot be decoded")
    return np.frombuffer(whole, np.uint8).reshape(form.shape)
