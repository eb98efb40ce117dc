"""What a benchmark says, on the screen and in `results/NAME.txt`, below what it was measured on."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from benchmarks import bed

FOLDER = Path(__file__).parent / "results"
#: Whose versions say most about a figure.
PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "celery",
    "psycopg",
    "sqlalchemy",
    "flask",
    "granian",
    "uvicorn",
    "uvloop",
)


class _Both:
    """A file that is the screen as well."""

    def __init__(self, screen: TextIO, file: TextIO) -> None:
        self._screen, self._file = screen, file

    def write(self, text: str) -> int:
        self._file.write(text)
        return self._screen.write(text)

    def flush(self) -> None:
        self._screen.flush()
        self._file.flush()


@contextlib.contextmanager
def said(name: str) -> Iterator[None]:
    """What is printed meanwhile is kept, in the place of what was the last time; whoever shows progress does it on
    standard error. Of one that fails nothing is kept."""
    FOLDER.mkdir(exist_ok=True)
    growing = FOLDER / f".{name}"
    try:
        with growing.open("w") as file:
            file.write(
                f"./run bench {name}, {dt.datetime.now(dt.UTC).date()}, at {_commit()}\n{_machine()}\n{_packages()}\n\n"
            )
            with contextlib.redirect_stdout(_Both(sys.stdout, file)):
                yield
        growing.rename(FOLDER / f"{name}.txt")
    finally:
        growing.unlink(missing_ok=True)


def _commit() -> str:
    """Of what was measured; a plus says that something beside figures was changed since."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=bed.ROOT, capture_output=True, check=True)
        but = f":!{FOLDER.relative_to(bed.ROOT)}"
        same = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ".", but], cwd=bed.ROOT, check=False)
        return head.stdout.decode().strip() + "+" * same.returncode
    return "no commit"


def _machine() -> str:
    said, memory = Path("/proc/cpuinfo"), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    model = re.search(r"model name\s*: (.+)", said.read_text() if said.exists() else "")
    processor, system = model[1] if model else platform.machine(), f"{platform.system()} {platform.release()}"
    return f"{processor}, {os.cpu_count()} CPUs, {memory} GiB, {system}"


def _packages() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(found)
