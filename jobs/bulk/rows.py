"""The rows of a file: each line by itself, checked by the same schema as a request."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core import errors
from inference import schema
from inference.manifest import Manifest

ID = "id"
MAX_ID = 256


@dataclass(slots=True)
class Row:
    """One row, by the line it starts on and the `id` it came with: the model's inputs, or why it has none."""

    line: int
    id: str | int | None = None
    inputs: dict[str, Any] | None = None
    error: errors.CoatcheckError | None = None


def read(data: bytes, manifest: Manifest, chunk: Mapping[str, Any]) -> Iterator[Row]:
    """Every row of a chunk's bytes, which start on its `line`; empty lines are none.

    A chunk of rows that are answered again says in `lines` where each was at first.
    """
    line, header, lines = chunk["line"], chunk["header"], iter(chunk.get("lines") or ())
    records = _jsonl(data, line) if header is None else _csv(data, line, header, manifest)
    for row, raw in records:
        row.line = next(lines, row.line)
        if isinstance(raw, errors.CoatcheckError):
            row.error = raw
        else:
            _check(row, raw, manifest)
        yield row


def raw(data: bytes, chunk: Mapping[str, Any]) -> Iterator[tuple[int, bytes]]:
    """Every row of a chunk's bytes as it was written, by its line."""
    lines = iter(chunk.get("lines") or ())
    if chunk["header"] is None:
        found = _lines(data, chunk["line"])
    else:
        found = ((number, _written(record)) for number, record in _records(data, chunk["line"]))
    for number, text in found:
        yield next(lines, number), text


def _written(record: list[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="").writerow(record)
    return text.getvalue().encode()


def answer(row: Row, **said: Any) -> bytes:
    """One line of the output."""
    who = {} if row.id is None else {ID: row.id}
    return orjson.dumps({"line": row.line, **who, **said}, option=orjson.OPT_APPEND_NEWLINE)


def refusal(row: Row, error: errors.CoatcheckError) -> bytes:
    """One line of the output for a row without a prediction."""
    details = {"details": error.details} if error.details else {}
    return answer(row, error={"code": error.code, "message": error.message, **details})


def _lines(data: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    if first == 1:
        data = data.removeprefix(codecs.BOM_UTF8)
    for number, line in enumerate(data.split(b"\n"), first):
        if line and not line.isspace():
            yield number, line


def _records(data: bytes, first: int) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(len(data))
    reader = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
    before = 0
    for record in reader:
        number, before = first + before, reader.line_num
        if record:
            yield number, record


def _jsonl(data: bytes, first: int) -> Iterator[tuple[Row, Any]]:
    for number, line in _lines(data, first):
        try:
            yield Row(number), orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Row(number), errors.InvalidInput.field("row", f"is not valid JSON: {error}")


def _csv(data: bytes, first: int, header: Sequence[str], manifest: Manifest) -> Iterator[tuple[Row, Any]]:
    types = {field.name: field.type for field in manifest.fields}
    for number, record in _records(data, first):
        row = Row(number)
        if len(record) != len(header):
            issue = f"has {len(record)} columns, but the first line of the file has {len(header)}"
            yield row, errors.InvalidInput.field("row", issue)
            continue
        # A CSV has no types and no null: an empty cell is a field that was left out.
        cells = {name: _typed(cell, types.get(name)) for name, cell in zip(header, record, strict=True) if cell}
        yield row, cells


def _typed(cell: str, kind: str | None) -> Any:
    """A cell as its field's type; one that is not stays text, and the schema says what is wrong with it."""
    # Python would also read 1_000 and other scripts' digits.
    if not cell.isascii() or "_" in cell:
        return cell
    try:
        return _CELLS[kind](cell) if kind in _CELLS else cell
    except (ValueError, KeyError):
        return cell


_CELLS: Mapping[str | None, Callable[[str], Any]] = {
    "number": float,
    "integer": int,
    "boolean": {"true": True, "false": False}.__getitem__,
}


def _check(row: Row, raw: Any, manifest: Manifest) -> None:
    if not isinstance(raw, dict):
        row.error = errors.InvalidInput.field("row", "must be a JSON object")
        return
    if ID not in {field.name for field in manifest.fields}:
        given = raw.pop(ID, None)
        if isinstance(given, bool) or not isinstance(given, (str, int, type(None))) or len(str(given)) > MAX_ID:
            row.error = errors.InvalidInput.field(
                ID, f"must be a string or a whole number of at most {MAX_ID} characters"
            )
            return
        row.id = given
    try:
        row.inputs = schema.validate_inputs(manifest, raw)
    except errors.InvalidInput as error:
        row.error = error
