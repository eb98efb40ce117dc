"""The first half of a bulk job: its file is copied to where nobody can change it, and cut into chunks at newlines."""

from __future__ import annotations

import csv
import errno
import itertools
import tempfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from core import errors
from jobs.lease import Held
from storage.objects import Store

GZIP_MAGIC = b"\x1f\x8b"
PIECE = 1 << 20
#: The longest line, in bytes; a request body is not longer either.
MAX_LINE = 4 << 20
#: A chunk is done by its rows or by its bytes, whichever comes first: it is held in memory, and is what a crash costs.
CHUNK_BYTES = 4 << 20
BATCHES_PER_CHUNK = 32


@dataclass(frozen=True)
class Span:
    """Some lines of a file: bytes `start` to `end`, of which the first is on line `line` (from 1)."""

    start: int
    end: int
    line: int
    rows: int
    lines: list[int] | None = None  #: of rows that are answered again: where each was at first


@dataclass(frozen=True)
class Plan:
    """A file in our own hands, and what it was cut into; `header` of a CSV."""

    key: str
    etag: str
    header: list[str] | None
    spans: list[Span]


def make(
    store: Store,
    held: Held,
    source: Iterator[bytes],
    *,
    form: str,
    fields: Collection[str],
    key: str,
    max_batch: int,
    max_bytes: int,
) -> Plan | None:
    """Copy and cut the file that `source` gives; None if the job is not wanted any more.

    Raises InputUnreadable, InputTooLarge, and what `source` raises; Unavailable when the store or the disk is.
    """
    with tempfile.TemporaryFile(prefix="coatcheck-bulk-") as file:
        size = 0
        for piece in unpacked(source):
            size += len(piece)
            if size > max_bytes:
                raise errors.InputTooLarge(f"The file is larger than {max_bytes} bytes", details={"limit": max_bytes})
            if not held.wanted:
                return None
            _write(file, piece)
        file.seek(0)
        header, spans = _cut(file, form, fields, rows=max_batch * BATCHES_PER_CHUNK)
        if not spans:
            raise errors.InputUnreadable("The file has no rows")
        file.seek(0)
        return Plan(key, store.put_file(key, file).etag, header, spans)


def make_again(
    store: Store, found: Iterator[tuple[int, bytes]], header: list[str] | None, *, key: str, max_batch: int
) -> Plan:
    """Rows of an earlier file, by their lines there, as a file of their own; raises InputUnreadable, Unavailable."""
    spans: list[Span] = []
    offset = 0
    with tempfile.TemporaryFile(prefix="coatcheck-bulk-") as file:
        while batch := list(itertools.islice(found, max_batch * BATCHES_PER_CHUNK)):
            text = b"".join(row + b"\n" for _, row in batch)
            _write(file, text)
            lines = [line for line, _ in batch]
            spans.append(Span(offset, offset + len(text), lines[0], len(batch), lines))
            offset += len(text)
        if not spans:
            raise errors.InputUnreadable("No row of the earlier job has failed")
        file.seek(0)
        return Plan(key, store.put_file(key, file).etag, header, spans)


def unpacked(source: Iterator[bytes]) -> Iterator[bytes]:
    """The text in a file, which may be compressed by gzip (RFC 1952); raises InputUnreadable."""
    first = next(source, b"")
    while len(first) < len(GZIP_MAGIC) and (more := next(source, b"")):
        first += more
    pieces = itertools.chain([first], source)
    for piece in _gunzip(pieces) if first.startswith(GZIP_MAGIC) else pieces:
        # In JSON and in CSV a NUL is never itself.
        if b"\0" in piece:
            raise errors.InputUnreadable("The file is not text: it holds a NUL byte")
        yield piece


def _gunzip(source: Iterator[bytes]) -> Iterator[bytes]:
    """Every member, never more than PIECE at once."""
    member = zlib.decompressobj(wbits=31)
    for piece in source:
        rest = piece
        while rest:
            try:
                found = member.decompress(rest, PIECE)
            except zlib.error as error:
                raise errors.InputUnreadable("The file is damaged: it does not gunzip") from error
            if found:
                yield found
            rest = member.unconsumed_tail
            if member.eof:
                rest = member.unused_data
                if rest:
                    member = zlib.decompressobj(wbits=31)
    if not member.eof:
        raise errors.InputUnreadable("The file is damaged: its gzip ends early")


def _write(file: IO[bytes], piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise errors.Unavailable("The worker's disk is full") from error


def _cut(file: IO[bytes], form: str, fields: Collection[str], *, rows: int) -> tuple[list[str] | None, list[Span]]:
    """The header of a CSV, and the file's rows in spans; raises InputUnreadable, InputTooLarge."""
    lines = _Lines(file)
    records = _csv(lines) if form == "csv" else _jsonl(lines)
    header = next(records, (None, 0))[0] if form == "csv" else None
    if header is not None:
        _check_header(header, fields)
    spans = []
    start, line, count = lines.offset, lines.number + 1, 0
    for _, filled in records:
        count += filled
        if count >= rows or lines.offset - start >= CHUNK_BYTES:
            # Megabytes of empty lines are no chunk: nothing could be said of its progress.
            if count:
                spans.append(Span(start, lines.offset, line, count))
            start, line, count = lines.offset, lines.number + 1, 0
    if count:
        spans.append(Span(start, lines.offset, line, count))
    return header, spans


def _check_header(header: Sequence[str], fields: Collection[str]) -> None:
    """Raises InputUnreadable."""
    if len(set(header)) != len(header) or not all(header):
        raise errors.InputUnreadable("The first line of a CSV must name its columns, each once")
    if not set(header) & set(fields):
        named = ", ".join(header)[:200]
        raise errors.InputUnreadable(f"The first line names no field of the model ({', '.join(fields)}), but: {named}")


class _Lines:
    """The lines of a file, which knows how far it was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.offset = 0  #: of the byte after the last line
        self.number = 0  #: of the last line

    def __iter__(self) -> Iterator[bytes]:
        while line := self._file.readline(MAX_LINE + 1):
            self.number += 1
            if len(line) > MAX_LINE:
                issue = f"Line {self.number} is longer than {MAX_LINE} bytes"
                raise errors.InputTooLarge(issue, details={"line": self.number, "limit": MAX_LINE})
            self.offset += len(line)
            yield line


Record = tuple[list[str] | None, int]


def _jsonl(lines: _Lines) -> Iterator[Record]:
    for line in lines:
        yield None, int(not line.isspace())


def _csv(lines: _Lines) -> Iterator[Record]:
    """Records of RFC 4180, whose quoted fields may hold newlines."""
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader((line.decode("utf-8-sig" if lines.number == 1 else "utf-8") for line in lines), strict=True)
    first = 1
    try:
        for record in reader:
            yield record, int(bool(record))
            first = lines.number + 1
    except UnicodeDecodeError as error:
        raise errors.InputUnreadable(f"Line {lines.number} is not UTF-8") from error
    except csv.Error as error:
        raise errors.InputUnreadable(f"The row on line {first} is not CSV: {error}") from error
