"""How the pictures of a batch go to a decoder, and what comes back for each of them, in their order.

To it go the lengths and the bytes, in one file. From it comes first FOUND with the width and height of the picture as
it stands upright, and behind it as many bytes of pixels as were asked for, row by row; or what it may not be, with a
sentence of which "The picture" is the beginning.
"""

from __future__ import annotations

import struct

LENGTH, SIZE = struct.Struct(">I"), struct.Struct(">II")
FOUND, TOO_LARGE, UNREADABLE = b"f", b"l", b"u"
#: How a picture of another shape is brought to the one that is asked for, by its place here.
FITS = ("stretch", "crop", "pad")
#: By how many bytes a pixel has.
MODES = {1: "L", 3: "RGB"}


def within(width: int, height: int, most_wide: int, most_high: int) -> tuple[int, int]:
    """How wide and high a picture is that is scaled until it is within a size: in whole pixels, as Pillow's
    `ImageOps.contain` has it, and of each at least one."""
    if width / height > most_wide / most_high:
        return most_wide, max(1, round(height / width * most_wide))
    return max(1, round(width / height * most_high)), most_high
