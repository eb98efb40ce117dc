"""How sound goes from a decoder to the worker: blocks of so many samples a second, of one channel."""

from __future__ import annotations

import struct

RATE = 16_000
#: A block begins with the fraction of the file that has been read; float32 follow, as this machine has them.
DONE = struct.Struct("=d")
SAMPLE_BYTES = 4
