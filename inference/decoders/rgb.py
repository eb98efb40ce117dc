"""How pages go from a decoder to the worker: their number; or the size of one, and its rows as RGB, some at a time."""

from __future__ import annotations

import struct

from inference.decoders import confined

COUNT, SIZE = struct.Struct(">I"), struct.Struct(">II")
PIXEL_BYTES = 3


def rows(width: int) -> int:
    """How many rows are one piece."""
    return max(1, confined.MOST // (width * PIXEL_BYTES))
