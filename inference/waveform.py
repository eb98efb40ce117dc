"""A WAV or FLAC file as 16 kHz mono, a block at a time, however long it is; decoded in a process of its own."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from core import errors
from inference import guarded
from inference.decoders import mono
from inference.interrupt import Interrupt

Samples = np.ndarray[Any, np.dtype[np.float32]]


def blocks(path: Path, interrupt: Interrupt) -> Generator[tuple[Samples, float]]:
    """The next samples, with the fraction of the file that has been read: 1.0 with the last block, and only then.

    To close the generator ends the process. Raises InputUnreadable, InputTooLarge, ModelInterrupted.
    """
    for piece in guarded.decoded("sound", path, what="The file", interrupt=interrupt):
        yield _block(piece)


def _block(piece: bytes) -> tuple[Samples, float]:
    """What is in a piece of a decoder's, which may have been made to say anything."""
    count, rest = divmod(len(piece) - mono.DONE.size, mono.SAMPLE_BYTES)
    if count >= 0 and not rest:
        [done] = mono.DONE.unpack_from(piece)
        if 0 < done <= 1:
            return np.frombuffer(piece, np.float32, offset=mono.DONE.size), done
    raise errors.InputUnreadable("The file cannot be decoded")
