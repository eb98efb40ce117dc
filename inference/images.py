"""A model that takes pictures: rows that hold one, or a file that is one."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from pathlib import Path

from core import errors
from inference import pictures
from inference.given import Array
from inference.interrupt import Interrupt
from inference.kinds.image import Tensors
from inference.model import GraphModel, Row, Rows
from inference.output import Said

#: Of a picture that is a file; one in a row is smaller (`inference.schema`).
MAX_BYTES = 64 * 2**20


class Images(GraphModel):
    """Its encoder takes pixels in place of the client's base64."""

    _encoder: Tensors

    def encode(self, rows: Rows) -> dict[str, Array]:
        """The same; raises InputUnreadable, InputTooLarge as well."""
        return super().encode(_all(self._read(rows, Interrupt())))

    def found(self, rows: Rows) -> list[list[Array]]:
        """The same; raises InputUnreadable, InputTooLarge as well."""
        return super().found(_all(self._read(rows, Interrupt())))

    def predict(self, rows: Rows, interrupt: Interrupt | None = None) -> list[Said]:
        """The same; raises InputUnreadable, InputTooLarge as well."""
        return super().predict(_all(self._read(rows, interrupt or Interrupt())), interrupt)

    def each(self, rows: Rows, interrupt: Interrupt | None = None) -> list[Said | errors.CoatcheckError]:
        read = self._read(rows, interrupt or Interrupt())
        good = [row for row in read if not isinstance(row, errors.CoatcheckError)]
        said = iter(super().predict(good, interrupt) if good else ())
        return [row if isinstance(row, errors.CoatcheckError) else next(said) for row in read]

    def picture(self, path: Path, interrupt: Interrupt) -> Said:
        """What is said to a file; raises InputUnreadable, InputTooLarge, ModelError, and ModelInterrupted if that was
        asked for."""
        if (size := path.stat().st_size) > MAX_BYTES:
            raise errors.InputTooLarge(f"The picture has {size} bytes; it may have {MAX_BYTES}")
        return super().predict(_all(self._pixels([path.read_bytes()], interrupt)), interrupt)[0]

    def _read(self, rows: Rows, interrupt: Interrupt) -> list[Row | errors.CoatcheckError]:
        return self._pixels([binascii.a2b_base64(row[self._encoder.field]) for row in rows], interrupt)

    def _pixels(self, encoded: Sequence[bytes], interrupt: Interrupt) -> list[Row | errors.CoatcheckError]:
        """Rows with the pixels, or with what is wrong with a picture, its field named."""
        field = self._encoder.field
        with self._answering(interrupt):
            read = pictures.read(encoded, self._encoder.form, interrupt)
        return [_named(item, field) if isinstance(item, errors.CoatcheckError) else {field: item} for item in read]


def _named(error: errors.CoatcheckError, field: str) -> errors.CoatcheckError:
    issue = error.message.removeprefix(pictures.WHAT).lstrip()
    return type(error)(error.message, details={"field": field, "issue": issue})


def _all(read: Sequence[Row | errors.CoatcheckError]) -> list[Row]:
    """Raises the first error that there is."""
    found = []
    for row in read:
        if isinstance(row, errors.CoatcheckError):
            raise row
        found.append(row)
    return found
