"""The text in a file, plain or compressed, in pieces that fit in memory.

Media are decoded in processes of their own (inference.guarded); gzip is not, as a process would bound nothing that is
not bound here: DEFLATE (RFC 1951) looks back over 32 KiB and no further, zlib is told how much to give at once, and its
caller looks between two pieces whether the job is still wanted.
"""

from __future__ import annotations

import codecs
import itertools
import re
import zlib
from collections.abc import Iterator

from core import errors

GZIP_MAGIC = b"\x1f\x8b"
PIECE = 1 << 20
#: zlib copies what is behind a member: of a file of many small ones, for each of them.
SIP = 16 << 10
#: By so many bytes it is told what a file is: a tar says it behind its first file's name.
SNIFFED = 512

_FOREIGN = {
    "a ZIP archive or a spreadsheet (.xlsx, .ods)": re.compile(rb"PK\x03\x04"),
    "a spreadsheet (.xls)": re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    "a tar archive": re.compile(rb"(?s).{257}ustar"),
    "compressed by bzip2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    "compressed by xz": re.compile(rb"\xfd7zXZ\x00"),
    "compressed by Zstandard": re.compile(rb"\x28\xb5\x2f\xfd"),
    "a 7-Zip archive": re.compile(rb"7z\xbc\xaf\x27\x1c"),
    "Parquet": re.compile(rb"PAR1\x15"),
    "Arrow": re.compile(rb"ARROW1\x00\x00"),
    "a gzip within a gzip": re.compile(rb"\x1f\x8b"),
    "a PDF": re.compile(rb"%PDF-"),
    "a SQLite database": re.compile(rb"SQLite format 3\x00"),
}


def unpacked(source: Iterator[bytes]) -> Iterator[bytes]:
    """The text in a file as UTF-8 without a byte order mark.

    The file may be UTF-16 with such a mark, and compressed by gzip (RFC 1952). Raises InputUnreadable.
    """
    first = _head(source, SNIFFED)
    pieces = itertools.chain([first], source)
    text = _gunzip(pieces) if first.startswith(GZIP_MAGIC) else pieces
    head = _head(text, SNIFFED)
    for named, magic in _FOREIGN.items():
        if magic.match(head):
            raise errors.InputUnreadable(f"The file is {named}; it must be JSONL or CSV, plain or gzipped")
    for piece in _utf8(itertools.chain([head], text), head):
        # In JSON and in CSV a NUL is never itself.
        if b"\0" in piece:
            issue = "The file is not text: it holds a NUL byte (UTF-16 must begin with a byte order mark)"
            raise errors.InputUnreadable(issue)
        yield piece


def _utf8(text: Iterator[bytes], head: bytes) -> Iterator[bytes]:
    """Spreadsheets' "Unicode text" and PowerShell's `>` write UTF-16; raises InputUnreadable."""
    if not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield next(text).removeprefix(codecs.BOM_UTF8)
        yield from text
        return
    decoder = codecs.getincrementaldecoder("utf-16")()
    try:
        for piece in text:
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        raise errors.InputUnreadable("The file is damaged: it begins as UTF-16, and is not") from error


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
