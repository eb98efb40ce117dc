"""A part of a bulk job's output: a line for each row, in order, and those of them that are errors."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    """What is written of it so far."""

    explain: str
    lines: list[bytes] = field(default_factory=list)
    faults: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, job: Claimed) -> Writing:
        """Of a chunk, which is explained as its file's job asks."""
        return cls(told.explain_of(job))

    def add(self, row: Row, said: Said) -> None:
        if isinstance(said, errors.CoatcheckError):
            line = rows.refusal(row, said)
            self.faults.append(line)
        else:
            line = rows.answer(row, **told.v1(said, self.explain))
        self.lines.append(line)

    def store(self, store: Store, chunk: Chunk, attempt: int) -> Part:
        """Store it under this attempt's own name; raises Unavailable."""
        name = places.part(chunk, attempt)
        key, errors_key = f"{name}.jsonl", f"{name}.errors.jsonl" if self.faults else None
        store.put(key, b"".join(self.lines))
        if errors_key is not None:
            store.put(errors_key, b"".join(self.faults))
        return Part(key, rows=len(self.lines), failed=len(self.faults), errors_key=errors_key)
