"""A CSV as programs write it: what stands between its cells, what its first line must say, and what a cell says."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from core import errors, strict_json
from inference.manifest import Field

ID = "id"
#: The comma of RFC 4180; the semicolon of spreadsheets where a comma is what stands before decimals; and the tab of
#: "Unicode text" and of TSV.
SEPARATORS = ",;\t"
#: The longest cell, in characters: that of the longest row.
MAX_CELL = 4 << 20
# Of the whole process, as csv knows no other; nothing else here reads a CSV.
csv.field_size_limit(MAX_CELL)
#: So much of a first line is quoted in an error.
QUOTED = 200

_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+(?:[eE][+-]?\d+)?)", re.ASCII)
#: What Python's reader says of a record → what is said.
_SAID = {
    "new-line character": "a carriage return stands outside of quotes; end each line with a newline",
    "unexpected end of data": "a quote is opened there, and never closed",
    "expected after": "a quote within a cell must be written twice",
    "field larger than": f"a cell has more than {MAX_CELL} characters",
}
#: Up to here every whole number is a float of its own.
_EXACT = 2**53


def separator(first: bytes, fields: Iterable[str]) -> str:
    """What stands between the cells: that by which the first line names most fields; the comma if none does better.

    Raises UnicodeDecodeError.
    """
    known = {ID, *fields}
    text = first.decode()
    return max(SEPARATORS, key=lambda mark: len(known & set(_cells(text, mark))))


def names_a_field(first: bytes, fields: Iterable[str]) -> bool:
    """Whether a line could be the first one of a CSV for these fields."""
    text = first.decode(errors="replace")
    return any(set(fields) & set(_cells(text, mark)) for mark in SEPARATORS)


def records(lines: Iterable[bytes], mark: str) -> Iterator[tuple[list[str], int]]:
    """Records of a CSV (RFC 4180), which may go over several lines, each with how many lines were read by its end.

    A line ends with a newline, and with nothing else. Raises csv.Error, UnicodeDecodeError.
    """
    reader = csv.reader((line.decode() for line in lines), delimiter=mark, strict=True)
    for record in reader:
        yield record, reader.line_num


def said(error: csv.Error) -> str:
    """What is wrong with a record, in words for who wrote it."""
    return next((ours for theirs, ours in _SAID.items() if theirs in str(error)), str(error))


def check_columns(columns: Sequence[str], fields: Sequence[Field]) -> None:
    """Whether rows under this first line can be answered at all; raises InputUnreadable, once for the file."""
    known = [field.name for field in fields]
    if spaced := [name for name in columns if name != name.strip() and name.strip() in known]:
        raise errors.InputUnreadable(f"The first line has white space around a name: '{spaced[0][:QUOTED]}'")
    named = ", ".join(columns)[:QUOTED]
    if not set(columns) & set(known):
        raise errors.InputUnreadable(f"The first line names no field of the model ({', '.join(known)}), but: {named}")
    if nameless := [number for number, name in enumerate(columns, 1) if not name]:
        hint = "; pandas writes its index like this unless told index=False" if nameless == [1] else ""
        raise errors.InputUnreadable(f"Column {nameless[0]} has no name in the first line{hint}")
    if twice := [name for name, count in Counter(columns).items() if count > 1]:
        raise errors.InputUnreadable(f"The first line names a column twice: {twice[0][:QUOTED]}")
    if foreign := [name for name in columns if name not in {ID, *known}]:
        listed = ", ".join(foreign)[:QUOTED]
        raise errors.InputUnreadable(f"Not fields of the model, and to be left out of the file: {listed}")
    if missing := [field.name for field in fields if field.required and field.name not in columns]:
        raise errors.InputUnreadable(f"The first line lacks required fields: {', '.join(missing)[:QUOTED]}")


def typed(cell: str, kind: str | None, mark: str) -> Any:
    """A cell as its field's type, as Python, pandas and spreadsheets write it; one that is not stays text, and the
    schema says what is wrong with it."""
    if kind == "tensor":
        return _listed(cell)
    # Python would also read 1_000 and other scripts' digits.
    if not cell.isascii() or "_" in cell:
        return cell
    if kind == "boolean":
        return _BOOLEANS.get(cell.strip().lower(), cell)
    if kind not in ("number", "integer"):
        return cell
    if mark == ";":
        cell = _DECIMAL_COMMA.sub(r"\1.\2", cell) if _DECIMAL_COMMA.fullmatch(cell.strip()) else cell
    try:
        return float(cell) if kind == "number" else _whole(cell)
    except ValueError:
        return cell


def _listed(cell: str) -> Any:
    """As JSON has it; a text that is no JSON may be one that stands alone. Raises NumberTooLong."""
    try:
        return strict_json.loads(cell.encode())
    except strict_json.NumberTooLong:
        raise
    except strict_json.NotJson:
        return cell


_BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}


def _whole(cell: str) -> Any:
    """pandas writes 1.0 where a column of whole numbers has a gap, spreadsheets 1E+05; raises ValueError."""
    try:
        return int(cell)
    except ValueError:
        found = float(cell)
        return int(found) if found.is_integer() and abs(found) <= _EXACT else found


def _cells(text: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=mark), [])
    except csv.Error:
        return []
