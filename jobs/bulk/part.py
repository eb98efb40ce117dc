"""A part of a bulk job's output: a line for each row, in order, and those of them that are errors."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from core import errors
from jobs import told
from jobs.bulk import places, rows
from jobs.bulk.answering import Said
from jobs.bulk.rows import Row
from jobs.job import Claimed
from jobs.payloads import Chunk
from jobs.result import Part
from storage.objects import Store


@dataclass
class Writing:
    """What is written of it so far: in files, as a chunk's answers may be larger than memory."""

    explain: str
    lines: IO[bytes]
    faults: IO[bytes]
    rows: int = 0
    failed: int = 0

    @classmethod
    @contextlib.contextmanager
    def of(cls, job: Claimed) -> Iterator[Writing]:
        """Of a chunk, which is explained as its file's job asks."""
        with tempfile.TemporaryFile() as lines, tempfile.TemporaryFile() as faults:
            yield cls(told.explain_of(job), lines, faults)

    def add(self, row: Row, said: Said) -> None:
        """Raises OSError where the disk is full."""
        if isinstance(said, errors.CoatcheckError):
            line = rows.refusal(row, said)
            self.faults.write(line)
            self.failed += 1
        else:
            line = rows.answer(row, **told.v1(said, self.explain))
        self.lines.write(line)
        self.rows += 1

    def store(self, store: Store, chunk: Chunk, attempt: int) -> Part:
        """Store it under this attempt's own name; raises Unavailable, and OSError where the disk is full."""
        name = places.part(chunk, attempt)
        key, errors_key = f"{name}.jsonl", f"{name}.errors.jsonl" if self.failed else None
        self.lines.seek(0)
        store.put_file(key, self.lines)
        if errors_key is not None:
            self.faults.seek(0)
            store.put_file(errors_key, self.faults)
        return Part(key, rows=self.rows, failed=self.failed, errors_key=errors_key)
