"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console

from cli.failures import Failure
from cli.words import printable

#: What a shell gives for a program whose reader has gone (128 + SIGPIPE).
READER_GONE = 141
#: For progress and remarks.
screen = Console(stderr=True)

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")


def document(value: Any) -> None:
    """Print one JSON document."""
    write(encoded(value))


def encoded(value: Any) -> bytes:
    """As JSON, always in UTF-8; times as ISO 8601, a file name that is no text with escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    return f"{text}\n".encode(errors="backslashreplace")


def line(text: str) -> None:
    """Print a line of a result for people."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    write(f"{printable(text)}\n".encode(encoding, errors="backslashreplace"))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their headings.

    On a narrow terminal (or with COLUMNS set) the columns that do not fit follow on an indented line of their own:
    nothing is cut, so no two rows look alike.
    """
    texts = [list(columns), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, cells)) for cells in zip(*texts, strict=True)]
    lines = _packed(widths, _width())
    for cells in texts:
        for number, places in enumerate(lines):
            padded = (cells[place] + " " * (widths[place] - cell_len(cells[place])) for place in places)
            text = ("  " if number else "") + "  ".join(padded).rstrip()
            if text.strip() or not number:
                line(text)


def when(at: dt.datetime | None) -> str:
    """A time in UTC, to the minute."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M}" if at else ""


def say(text: str) -> None:
    """Tell people something, away from what is piped on."""
    screen.print(printable(text), soft_wrap=True, markup=False, emoji=False, highlight=False)


def write(data: bytes) -> None:
    """Put bytes on standard output, now; ends the program quietly when nobody reads on, raises Failure otherwise."""
    if sys.stdout is None:
        raise Failure("Standard output is closed, so there is nowhere to print the result", code="OUTPUT")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        # What is still in the buffer must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            raise SystemExit(READER_GONE) from None
        raise Failure(f"Standard output cannot be written: {error.strerror}", code="OUTPUT") from error


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return printable(str(value))


def _plain(value: object) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, dt.datetime) else str(value)


def _packed(widths: Sequence[int], most: int | None) -> list[list[int]]:
    """Which columns share a line of at most so many cells."""
    lines: list[list[int]] = [[]]
    taken = 0
    for place, width in enumerate(widths):
        if most is not None and lines[-1] and taken + width > most:
            lines.append([])
            taken = 2
        lines[-1].append(place)
        taken += width + 2
    return lines


def _width() -> int | None:
    """None in a pipe or a file: there, a row is a line."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return os.get_terminal_size(sys.stdout.fileno()).columns or None
