"""Pictures that are made to take more than they should."""

from __future__ import annotations

import struct
import zlib

from tests.inference.paper import pdf


def segment(marker: int, data: bytes = b"") -> bytes:
    """Of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(scans: int, side: int = 6000, between: bytes = b"") -> bytes:
    """A gray progressive JPEG of so many scans, each a few bytes for "nothing in all these blocks" (ITU-T T.81, G)."""
    head = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)
    head += segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    # One code for a difference of nothing, and one, 00, for a run of 2^14 blocks and as many more as 14 bits say.
    head += segment(0xC4, b"\x00\1" + bytes(15) + b"\0") + segment(0xC4, b"\x10\0\1" + bytes(14) + b"\xe0")
    blocks = (side // 8) ** 2
    bits = ("00" + "1" * 14) * -(-blocks // (2**15 - 1))
    runs = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    first = segment(0xDA, b"\1\1\0\0\0\0") + bytes(blocks // 8 + 1)
    return head + first + (between + segment(0xDA, b"\1\1\0\1\x3f\0") + runs) * (scans - 1) + b"\xff\xd9"


def png(width: int, height: int, *, depth: int, colour: int, pixel_bytes: int) -> bytes:
    """All of it there, and all of it zero."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row, left = zlib.compressobj(9), bytes(1 + width * pixel_bytes), height
    some = max(1, 2**20 // len(row))
    packed = b""
    while left:
        packed += packer.compress(row * min(some, left))
        left -= min(some, left)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", packed + packer.flush()) + part(b"IEND", b"")


def pdf_of(jpeg: bytes, side: int = 6000) -> bytes:
    """A page with that picture on it, which is decoded by PDFium."""
    content = b"<</Length 29>>stream\nq 200 0 0 100 0 0 cm /I Do Q\nendstream"
    image = b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8" % (side, side)
    page = b"/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>"
    stream = b"/Filter/DCTDecode/Length %d>>stream\n" % len(jpeg) + jpeg + b"\nendstream"
    return pdf(page, content, image + stream)
