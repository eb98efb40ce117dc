"""The text in a file, plain or compressed, in pieces that fit in memory.

Media are decoded in processes of their own (inference.guarded); gzip is not, as a process would bound nothing that is
not bound here: DEFLATE (RFC 1951) looks back over 32 KiB and no further, zlib is told how much to give at once, and its
caller looks between two pieces whether the job is still wanted.
"""

from __future__ import annotations

import codecs
import itertools
import zlib
from collections.abc import Iterator

from core import errors

GZIP_MAGIC = b"\x1f\x8b"
PIECE = 1 << 20
#: zlib copies what is behind a member: of a file of many small ones, for each of them.
SIP = 16 << 10


def unpacked(source: Iterator[bytes]) -> Iterator[bytes]:
    """The text in a file, which may be compressed by gzip (RFC 1952), without a byte order mark.

    Raises InputUnreadable.
    """
    first = _head(source, len(GZIP_MAGIC))
    pieces = itertools.chain([first], source)
    text = _gunzip(pieces) if first.startswith(GZIP_MAGIC) else pieces
    head = _head(text, len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
    for piece in itertools.chain([head], text):
        # In JSON and in CSV a NUL is never itself.
        if b"\0" in piece:
            raise errors.InputUnreadable("The file is not text: it holds a NUL byte")
        yield piece


def _head(source: Iterator[bytes], size: int) -> bytes:
    """As many of the next pieces as hold so many bytes."""
    found = next(source, b"")
    while len(found) < size and (more := next(source, b"")):
        found += more
    return found


def _gunzip(source: Iterator[bytes]) -> Iterator[bytes]:
    """Every member, never more than PIECE at once; zeros behind a member are padding, as `gzip` takes them."""
    member = zlib.decompressobj(wbits=31)
    for sip in (piece[start : start + SIP] for piece in source for start in range(0, len(piece), SIP)):
        rest = sip
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                member = zlib.decompressobj(wbits=31)
            try:
                found = member.decompress(rest, PIECE)
            except zlib.error as error:
                raise errors.InputUnreadable("The file is damaged: it does not gunzip") from error
            if found:
                yield found
            rest = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise errors.InputUnreadable("The file is damaged: its gzip ends early")
