"""The first half of a bulk job: its file is copied to where nobody can change it, and cut into chunks at newlines."""

from __future__ import annotations

import csv
import errno
import io
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from core import errors
from inference.manifest import Field
from jobs.bulk import rows, table
from jobs.bulk.unpack import PIECE, unpacked
from jobs.lease import Held
from storage.objects import Store

T = TypeVar("T")

#: The longest first line of a CSV, in bytes.
MAX_HEADER = 64 << 10
#: A chunk is done by its rows or by its bytes, whichever comes first: it is held in memory, and is what a crash costs.
CHUNK_BYTES = 4 << 20
BATCHES_PER_CHUNK = 32
#: Each is a row of the database, made in one transaction.
MAX_CHUNKS = 20_000


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
    """A file in our own hands, and what it was cut into."""

    key: str
    etag: str
    header_end: int | None  #: how many bytes the first line of a CSV takes
    spans: list[Span]


def make(
    store: Store,
    held: Held,
    source: Iterator[bytes],
    *,
    form: str,
    fields: Sequence[Field],
    key: str,
    max_batch: int,
    max_bytes: int,
) -> Plan:
    """Copy and cut the file that `source` gives; what is wrong with a row ends the copying there.

    Raises InputUnreadable, InputTooLarge, and what `source` raises; Unavailable when the store or the disk is;
    ModelInterrupted when the job is not wanted any more.
    """
    held.begin(held.interrupt)
    with tempfile.TemporaryFile(prefix="coatcheck-bulk-") as file:
        # Within, as a file may hold nothing but empty members; outside, as a few bytes of it may be a gigabyte.
        pieces = _while_wanted(held, unpacked(_while_wanted(held, source)))
        copied = io.BufferedReader(_Copied(pieces, file, max_bytes), PIECE)
        header_end, spans = _cut(_Lines(copied, held), form, fields, most=max_batch * BATCHES_PER_CHUNK)
        if not spans:
            raise errors.InputUnreadable("The file has no rows")
        file.seek(0)
        return Plan(key, store.put_file(key, file).etag, header_end, spans)


def make_again(
    store: Store, held: Held, found: Iterator[tuple[int, bytes]], header: bytes | None, *, key: str, max_batch: int
) -> Plan:
    """Rows of an earlier file, by their lines there, as a file of their own; raises as `make`."""
    held.begin(held.interrupt)
    spans: list[Span] = []
    header_end = None if header is None else len(header)
    offset = header_end or 0
    with tempfile.TemporaryFile(prefix="coatcheck-bulk-") as file:
        _write(file, header or b"")
        for batch in _batches(_while_wanted(held, found), max_batch * BATCHES_PER_CHUNK):
            text = b"".join(row + b"\n" for _, row in batch)
            _write(file, text)
            lines = [line for line, _ in batch]
            spans.append(Span(offset, offset + len(text), lines[0], len(batch), lines))
            offset += len(text)
        if not spans:
            raise errors.InputUnreadable("No row of the earlier job has failed")
        file.seek(0)
        return Plan(key, store.put_file(key, file).etag, header_end, spans)


def _while_wanted(held: Held, found: Iterator[T]) -> Iterator[T]:
    """The same, until the job is not wanted any more; raises ModelInterrupted."""
    for item in found:
        if not held.wanted:
            raise errors.ModelInterrupted
        yield item


def _batches(found: Iterator[tuple[int, bytes]], most: int) -> Iterator[list[tuple[int, bytes]]]:
    batch: list[tuple[int, bytes]] = []
    size = 0
    for line, text in found:
        batch.append((line, text))
        size += len(text)
        if len(batch) >= most or size >= CHUNK_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Copied(io.RawIOBase):
    """The pieces of a file as a stream, each written to another file when it is read; raises what they raise,
    InputTooLarge, and Unavailable when the disk is full."""

    def __init__(self, pieces: Iterator[bytes], file: IO[bytes], max_bytes: int) -> None:
        self._pieces = pieces
        self._file = file
        self._max_bytes = max_bytes
        self._size = 0
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._piece and (piece := next(self._pieces, None)) is not None:
            self._take(piece)
        into = memoryview(buffer)
        taken, self._piece = self._piece[: len(into)], self._piece[len(into) :]
        into[: len(taken)] = taken
        return len(taken)

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max_bytes:
            issue = f"The file is larger than {self._max_bytes} bytes"
            raise errors.InputTooLarge(issue, details={"limit": self._max_bytes})
        _write(self._file, piece)
        self._piece = memoryview(piece)


def _write(file: IO[bytes], piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise errors.Unavailable("The worker's disk is full") from error


def _cut(lines: _Lines, form: str, fields: Sequence[Field], *, most: int) -> tuple[int | None, list[Span]]:
    """How long a CSV's header is, and the file's rows in spans of so many; raises InputUnreadable, InputTooLarge."""
    records = _csv(lines, fields) if form == "csv" else _jsonl(lines, fields)
    header_end = _header_end(lines, next(records, ([], 0))[0], fields) if form == "csv" else None
    spans: list[Span] = []
    start, line, count = lines.offset, lines.number + 1, 0
    for _, filled in records:
        count += filled
        if count >= most or lines.offset - start >= CHUNK_BYTES:
            # Megabytes of empty lines are no chunk: nothing could be said of its progress.
            if count:
                _add(spans, Span(start, lines.offset, line, count), most)
            start, line, count = lines.offset, lines.number + 1, 0
    if count:
        _add(spans, Span(start, lines.offset, line, count), most)
    return header_end, spans


def _add(spans: list[Span], span: Span, most: int) -> None:
    """One more, of at most so many rows; raises InputTooLarge where there are too many."""
    spans.append(span)
    if len(spans) > MAX_CHUNKS:
        issue = f"The file is over {MAX_CHUNKS} chunks of {most} rows or {CHUNK_BYTES} bytes"
        raise errors.InputTooLarge(issue, details={"limit": MAX_CHUNKS})


def _header_end(lines: _Lines, header: Sequence[str], fields: Sequence[Field]) -> int:
    """How many bytes the first line takes; raises InputUnreadable, InputTooLarge."""
    if lines.offset > MAX_HEADER:
        issue = f"The first line of a CSV is longer than {MAX_HEADER} bytes"
        raise errors.InputTooLarge(issue, details={"line": 1, "limit": MAX_HEADER})
    table.check_columns(header, fields)
    return lines.offset


class _Lines:
    """The lines of a file, which knows how far it was read."""

    def __init__(self, file: IO[bytes], held: Held) -> None:
        self._file = file
        self._held = held
        self._row_start = 0
        self.offset = 0  #: of the byte after the last line
        self.number = 0  #: of the last line
        self.first = 1  #: that the row which is being read starts on

    def __iter__(self) -> Iterator[bytes]:
        """Each with its newline; raises InputTooLarge, ModelInterrupted."""
        for line in _while_wanted(self._held, iter(lambda: self._file.readline(rows.MAX_ROW + 1), b"")):
            self.number += 1
            self.offset += len(line)
            if self.offset - self._row_start > rows.MAX_ROW:
                issue = f"The row on line {self.first} is longer than {rows.MAX_ROW} bytes"
                raise errors.InputTooLarge(issue, details={"line": self.first, "limit": rows.MAX_ROW})
            yield line

    def end_row(self) -> None:
        self._row_start, self.first = self.offset, self.number + 1


Record = tuple[list[str], int]


def _jsonl(lines: _Lines, fields: Sequence[Field]) -> Iterator[Record]:
    for line in lines:
        if lines.number == 1:
            _check_first(line.strip(), fields)
        lines.end_row()
        yield [], int(not line.isspace())


def _check_first(line: bytes, fields: Sequence[Field]) -> None:
    """What would be wrong with every line is told once; raises InputUnreadable."""
    if line in (b"[", b"{") or line.startswith(b"[{"):
        raise errors.InputUnreadable("The file is one JSON document; it must hold one JSON object on each line")
    if not line.startswith((b"{", b"[")) and table.names_a_field(line, [field.name for field in fields]):
        raise errors.InputUnreadable("The file is a CSV, but was handed in as JSONL: say format csv, or text/csv")


def _csv(lines: _Lines, fields: Sequence[Field]) -> Iterator[Record]:
    try:
        read = iter(lines)
        first = next(read, b"")
        mark = table.separator(first, [field.name for field in fields])
        for record, _ in table.records(itertools.chain([first], read), mark):
            lines.end_row()
            yield record, int(bool(record))
    except UnicodeDecodeError as error:
        raise errors.InputUnreadable(
            f"Line {lines.number} is not UTF-8; spreadsheets save it as 'CSV UTF-8'"
        ) from error
    except csv.Error as error:
        raise errors.InputUnreadable(f"The row on line {lines.first} is not CSV: {table.said(error)}") from error
