"""What is executed by the processes that tests start: each marks its lines in a file that is mapped into its memory.

What it has marked stays, whatever ends it and however little it may do: decoders can open no file and are killed. It is
told by files, as many are given nothing of the environment; all that it needs is the copy of the project on its path.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

#: Python itself imports a module of this name at its start.
HOOK = "sitecustomize.py"
#: In the folder: where each file's lines begin in a page, whom the marks are for now, and whom each page is for.
LINES, NOW, NAMES = "lines", "now", "names"


def install(copy: Path, folder: Path, rooms: Iterable[Path]) -> None:
    """From now on the processes that import from `copy` mark their lines in these rooms, as long as somebody counts."""
    folder.mkdir()
    starts, end = [], 0
    for path in (path for room in rooms for path in sorted(room.rglob("*.py"))):
        starts.append(f"{end}\t{path.relative_to(copy)}\n")
        end += path.read_bytes().count(b"\n") + 2
    (folder / LINES).write_text("".join([*starts, f"{end}\t\n"]))
    (copy / HOOK).write_text(f"from tests.mutation import seen\n\nseen.begin({str(copy)!r}, {str(folder)!r})\n")


def count(folder: Path, context: str) -> None:
    """What is started from now on is started for this; it is one line."""
    names = _names(folder)
    if context not in names:
        with (folder / NAMES).open("a") as stream:
            stream.write(f"{context}\n")
    scratch = folder / "next"
    scratch.write_text(str([*names, context].index(context)))
    scratch.replace(folder / NOW)


def taken(folder: Path) -> Iterator[tuple[str, str, list[int]]]:
    """Whom for, which file and which lines of it; nobody counts any more, and the next begins without marks."""
    (folder / NOW).unlink(missing_ok=True)
    starts = _starts(folder)
    for place, context in enumerate(_names(folder)):
        if (page := folder / str(place)).exists():
            marks = page.read_bytes()
            page.unlink()
            for (path, start), end in zip(starts.items(), [*starts.values()][1:], strict=False):
                if lines := [number for number, mark in enumerate(marks[start:end]) if mark]:
                    yield context, path, lines
    (folder / NAMES).unlink(missing_ok=True)


def begin(copy: str, folder: str) -> None:
    """Mark the lines of this process and of those that it forks, if anybody counts."""
    try:
        now = (Path(folder) / NOW).read_text()
    except FileNotFoundError:
        return
    relative = _starts(Path(folder))
    size = relative.pop("")
    starts = {f"{copy}/{path}": start for path, start in relative.items()}
    marks = _mapped(Path(folder) / now, size)

    def line(frame: FrameType, _event: str, _value: object) -> Any:
        marks[starts[frame.f_code.co_filename] + (frame.f_lineno or 0)] = 1
        return line

    def call(frame: FrameType, _event: str, _value: object) -> Any:
        return line if frame.f_code.co_filename in starts else None

    threading.settrace(call)
    sys.settrace(call)


def _mapped(path: Path, size: int) -> Any:
    """The bytes of a file, with no descriptor of it left open: `mmap.mmap` would keep one, and some may have no more
    than four."""
    page = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(page, size)
    map_ = ctypes.CDLL(None, use_errno=True).mmap
    map_.restype, map_.argtypes = (
        ctypes.c_void_p,
        (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long),
    )
    at = map_(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, page, 0)
    os.close(page)
    if at == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), f"{path} cannot be mapped")
    return (ctypes.c_ubyte * size).from_address(at)


def _starts(folder: Path) -> dict[str, int]:
    rows = (row.partition("\t") for row in (folder / LINES).read_text().splitlines())
    return {path: int(start) for start, _, path in rows}


def _names(folder: Path) -> list[str]:
    path = folder / NAMES
    return path.read_text().splitlines() if path.exists() else []
