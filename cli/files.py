"""Files that people name: a path, or `-` for standard input and output."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click

from cli import formats, output
from cli.failures import Failure
from cli.formats import DASH, FORMATS, GZIP, GZIP_STARTS, HEAD_BYTES, ROWS, WHOLE
from cli.text import FilePath

#: Where a path is expected and `-` is one.
PATH = FilePath(dir_okay=False, allow_dash=True, path_type=Path)
#: What becomes an output when it is whole, of this process.
_SCRATCH = f".coatcheck-{secrets.token_hex(8)}.part"


@dataclass(frozen=True)
class Source:
    """A file that is handed in."""

    path: Path
    ending: str  #: of what is inside, such as .csv
    not_as_rows: bool = False  #: whether the model takes it whole all the same

    @classmethod
    def named(cls, path: Path, form: str | None) -> Source:
        """Raises UsageError where neither the name nor `form` says what the file holds, Failure where it is something
        that nothing takes."""
        found = cls(path, formats.ending(path, form))
        if found.ending in ROWS or found.ending in WHOLE:
            return found
        if path == DASH:
            what = "Nothing says what standard input holds"
        else:
            if not found.piped:
                with path.open("rb") as stream:
                    found.check(stream.read(HEAD_BYTES))
            what = f"The name of {path} does not say what it holds"
        raise click.UsageError(
            f"{what}: rows ({', '.join(ROWS)}, also gzipped) or one whole recording or document "
            f"({', '.join(WHOLE)}); add --format {'|'.join(FORMATS)}"
        )

    @property
    def whole(self) -> bool:
        """Whether it is answered as one: what no model reads as rows, and rows for one that does not."""
        return self.ending in WHOLE or self.not_as_rows

    @property
    def kind(self) -> str:
        """The media type of what is inside."""
        return (ROWS | WHOLE)[self.ending]

    def check(self, head: bytes) -> None:
        """Raises Failure for a file that begins as something that nothing takes, or as no rows do."""
        if said := formats.refusal(self.path, head, self.ending):
            raise Failure(said, code="FILE")

    @property
    def piped(self) -> bool:
        """Whether it has no size, and no folder to put an answer in."""
        return self.path == DASH or not stat.S_ISREG(self.path.stat().st_mode)

    @property
    def name(self) -> str:
        """As the server is told. A name on disk is bytes, which need not be anybody's characters."""
        if self.piped:
            return f"stdin{self.ending}"
        text = os.fsencode(self.path.name).decode(errors="replace")
        return "".join(char if char.isprintable() else "_" for char in text)

    @contextlib.contextmanager
    def opened(self) -> Iterator[tuple[IO[bytes], int, str]]:
        """The bytes, how many, and their media type; what is piped is put aside first.

        Raises Failure when it is empty, or plainly not what it is called.
        """
        with self._bytes() as stream:
            size = os.fstat(stream.fileno()).st_size
            if not size:
                raise Failure(f"{formats.shown(self.path)} is empty", code="FILE")
            head = stream.read(HEAD_BYTES)
            stream.seek(0)
            self.check(head)
            zipped = head.startswith(GZIP_STARTS) and not self.whole
            yield stream, size, GZIP if zipped else self.kind

    @contextlib.contextmanager
    def _bytes(self) -> Iterator[IO[bytes]]:
        if not self.piped:
            with self.path.open("rb") as stream:
                yield stream
            return
        with tempfile.TemporaryFile() as aside:
            if self.path != DASH:
                with self.path.open("rb") as stream:
                    shutil.copyfileobj(stream, aside)
            elif sys.stdin is None:
                raise Failure("Standard input is closed", code="FILE")
            elif sys.stdin.isatty():
                output.say("Reading standard input; Ctrl-D ends it")
                # Who reads on after the end waits for another.
                aside.write(sys.stdin.buffer.read())
            else:
                shutil.copyfileobj(sys.stdin.buffer, aside)
            aside.seek(0)
            yield aside


@dataclass(frozen=True)
class Target:
    """Where an answer goes."""

    path: Path

    @property
    def plain(self) -> bool:
        """Whether it is a file, or will be one."""
        return self.path != DASH and (self.path.is_file() or not self.path.exists())

    @property
    def faults(self) -> Target | None:
        """Where the failed rows alone go: beside the output, unless that is no file (they are in it as well)."""
        name = self.path.name.removesuffix(".jsonl") + ".errors.jsonl"
        return Target(self.path.with_name(name)) if self.plain else None

    @property
    def _scratch(self) -> Path:
        """No longer than a name may be, and none that somebody else could put there first."""
        return self._real.with_name(_SCRATCH)

    @property
    def _real(self) -> Path:
        """Behind a link."""
        return self.path.resolve()

    def check(self, source: Path) -> None:
        """Raises Failure or UsageError for what would otherwise be found out only after all the work."""
        try:
            # A name that is too long is no file that is not there.
            with contextlib.suppress(FileNotFoundError):
                self.path.lstat()
            if not self.plain:
                return
            if self.path.exists() and source.exists() and self.path.samefile(source):
                raise click.UsageError(f"{self.path} is the input; choose another --output")
            if self.path.exists() and not os.access(self.path, os.W_OK):
                raise PermissionError(13, "it may not be written")
            self._scratch.open("xb").close()
            self._scratch.unlink()
        except OSError as error:
            said = f"{self.path} cannot be written ({error.strerror}); choose another file"
            raise Failure(said, code="FILE") from error

    def write(self, pieces: Iterable[bytes]) -> None:
        """A file is there whole or not at all; anything else gets what comes."""
        if self.path == DASH:
            for piece in pieces:
                output.write(piece)
        elif not self.plain:
            with self.path.open("wb") as stream:
                stream.writelines(pieces)
        else:
            try:
                with self._scratch.open("xb") as stream:
                    stream.writelines(pieces)
                self._scratch.replace(self._real)
            finally:
                self._scratch.unlink(missing_ok=True)

    def remove(self) -> bool:
        """Whether there was something to remove."""
        there = self.path.is_file()
        self.path.unlink(missing_ok=True)
        return there
