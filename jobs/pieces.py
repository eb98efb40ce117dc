"""Pieces of a job's output, told before its run has ended: events of their own, in order, for whoever follows the job.

The whole output is the result. A run that is begun again tells its pieces again, under its own attempt's number.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import text

from core import database

#: What one attempt may tell, in bytes of JSON; of what is over it the event stream says `truncated`, once.
MOST_BYTES = 1 << 20
#: The event that carries them.
OUTPUT = "output"

# The row is locked: no piece comes behind the event that ends its job, and a later attempt's come behind.
_TELL = text("""
INSERT INTO job_events (job_id, type, progress, attempt, output)
SELECT held.id, 'output', held.progress, held.attempt, CAST(mine.output AS json)
FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:outputs AS text[])) AS mine (id, attempt, output)
JOIN LATERAL (
  SELECT id, progress, attempt FROM jobs
  WHERE id = mine.id AND status = 'processing' AND attempt = mine.attempt AND worker IS NOT NULL FOR SHARE
) AS held ON true
""")


class Pieces:
    """What one attempt has to tell, and has not told yet; safe to use from any thread."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._bytes = 0
        self._truncated = False
        self._lock = threading.Lock()

    def add(self, piece: Mapping[str, Any] | str) -> None:
        """One more, unless the attempt has told all that it may; raises orjson.JSONEncodeError."""
        said = database.dumps(piece)
        with self._lock:
            self._bytes += len(said.encode())
            if self._bytes <= MOST_BYTES:
                self._waiting.append(said)
            elif not self._truncated:
                self._truncated = True
                self._waiting.append("")

    def take(self) -> list[str]:
        """All that waits, which does not wait any more."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        return taken

    def put_back(self, taken: list[str]) -> None:
        """What could not be told."""
        with self._lock:
            self._waiting = taken + self._waiting


def tell(engine: sqlalchemy.Engine, waiting: Mapping[tuple[uuid.UUID, int], Pieces]) -> None:
    """One event for each job, by its id and attempt, that has pieces waiting; raises an outage, and loses none then.

    What was made under an attempt that is not ours any more is told to nobody.
    """
    taken = {key: found for key, pieces in waiting.items() if (found := pieces.take())}
    if not taken:
        return
    parameters = {
        "ids": [job_id for job_id, _ in taken],
        "attempts": [attempt for _, attempt in taken],
        "outputs": [_event(found) for found in taken.values()],
    }
    try:
        with engine.begin() as connection:
            connection.execute(_TELL, parameters)
    except BaseException:
        for key, found in taken.items():
            waiting[key].put_back(found)
        raise


def _event(taken: list[str]) -> str:
    """As JSON; what was left out stands for an empty text."""
    pieces = ",".join(piece for piece in taken if piece)
    rest = "" if all(taken) else ', "truncated": true'
    return f'{{"pieces": [{pieces}]{rest}}}'
