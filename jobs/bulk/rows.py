"""The rows of a file: each line by itself, checked by the same schema as a request."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from core import errors, strict_json
from inference import schema
from inference.manifest import Manifest
from jobs.bulk import table
from jobs.bulk.table import ID
from jobs.payloads import Chunk
from storage.objects import Store

MAX_ID = 256
#: The longest row, in bytes; a request body is not longer either.
MAX_ROW = table.MAX_CELL


@dataclass(slots=True)
class Row:
    """One row, by the line it starts on and the `id` it came with: the model's inputs, or why it has none."""

    line: int
    id: str | int | None = None
    inputs: dict[str, Any] | None = None
    error: errors.CoatcheckError | None = None


def read(store: Store, manifest: Manifest, chunk: Chunk) -> Iterator[Row]:
    """Every row of a chunk, which starts on its `line`; empty lines are none. Raises InputChanged, Unavailable.

    A chunk of rows that are answered again says in `lines` where each was at first.
    """
    data, first = _data(store, chunk), header(store, chunk)
    records = _jsonl(data, chunk.line) if first is None else _csv(data, chunk.line, first, manifest)
    return _rows(records, manifest, iter(chunk.lines or ()))


def raw(store: Store, manifest: Manifest, chunk: Chunk) -> Iterator[tuple[int, bytes]]:
    """Every row of a chunk as it was written, by its line; raises InputChanged, Unavailable."""
    data, first, lines = _data(store, chunk), header(store, chunk), iter(chunk.lines or ())
    if first is None:
        found = _lines(data, chunk.line)
    else:
        mark = table.separator(first, _names(manifest))
        found = ((line, text) for line, _, text in _csv_records(data, chunk.line, mark))
    return ((next(lines, line), text.rstrip(b"\r\n")) for line, text in found)


def header(store: Store, chunk: Chunk) -> bytes | None:
    """The first line of the chunk's file, if that is a CSV; raises InputChanged, Unavailable."""
    if chunk.header_end is None:
        return None
    return store.read_range(chunk.key, chunk.etag, 0, chunk.header_end)


def answer(row: Row, **said: Any) -> bytes:
    """One line of the output."""
    who = {} if row.id is None else {ID: row.id}
    return orjson.dumps({"line": row.line, **who, **said}, option=orjson.OPT_APPEND_NEWLINE)


def refusal(row: Row, error: errors.CoatcheckError) -> bytes:
    """One line of the output for a row without a prediction."""
    return answer(row, error=errors.body(error))


def _lines(data: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.split(b"\n"), first):
        if line and not line.isspace():
            yield number, line


def _data(store: Store, chunk: Chunk) -> bytes:
    return store.read_range(chunk.key, chunk.etag, chunk.start, chunk.end)


def _names(manifest: Manifest) -> list[str]:
    return [field.name for field in manifest.fields]


def _csv_records(data: bytes, first: int, mark: str) -> Iterator[tuple[int, list[str], bytes]]:
    """Each with the line it starts on, and as it was written."""
    lines = io.BytesIO(data).readlines()
    before = 0
    for record, count in table.records(lines, mark):
        if record:
            yield first + before, record, b"".join(lines[before:count])
        before = count


def _rows(found: Iterator[tuple[Row, Any]], manifest: Manifest, lines: Iterator[int]) -> Iterator[Row]:
    for row, given in found:
        row.line = next(lines, row.line)
        if isinstance(given, errors.CoatcheckError):
            row.error = given
        else:
            _check(row, given, manifest)
        yield row


def _jsonl(data: bytes, first: int) -> Iterator[tuple[Row, Any]]:
    for number, line in _lines(data, first):
        try:
            yield Row(number), strict_json.loads(line)
        except strict_json.NumberTooLong as error:
            yield Row(number), errors.InvalidInput.field("row", str(error), received=error.digits)
        except strict_json.NotJson as error:
            yield Row(number), errors.InvalidInput.field("row", str(error))


def _csv(data: bytes, first: int, header: bytes, manifest: Manifest) -> Iterator[tuple[Row, Any]]:
    types = {field.name: field.type for field in manifest.fields}
    mark = table.separator(header, types)
    columns, _ = next(table.records(io.BytesIO(header), mark))
    for number, record, _ in _csv_records(data, first, mark):
        row = Row(number)
        if len(record) != len(columns):
            issue = f"has {len(record)} columns, but the first line of the file has {len(columns)}"
            # Nothing in the first line of one column tells what stands between cells.
            issue += ": a cell with a comma stands in quotes" if len(columns) == 1 else ""
            yield row, errors.InvalidInput.field("row", issue)
            continue
        # A CSV has no null: an empty cell is a field that was left out.
        cells = zip(columns, record, strict=True)
        try:
            yield row, {name: table.typed(cell, types.get(name), mark) for name, cell in cells if cell}
        except strict_json.NumberTooLong as error:
            yield row, errors.InvalidInput.field("row", str(error), received=error.digits)


def _check(row: Row, raw: Any, manifest: Manifest) -> None:
    if not isinstance(raw, dict):
        row.error = errors.InvalidInput.field("row", "must be a JSON object")
        return
    if ID not in _names(manifest):
        given = raw.pop(ID, None)
        if isinstance(given, bool) or not isinstance(given, (str, int, type(None))) or len(str(given)) > MAX_ID:
            row.error = errors.InvalidInput.field(
                ID, f"must be a string of at most {MAX_ID} characters or a whole number of at most 64 bits"
            )
            return
        row.id = given
    try:
        row.inputs = schema.validate_inputs(manifest, raw)
    except errors.InvalidInput as error:
        row.error = error
