"""Pieces of a job's output, told before its run has ended: events of their own, in order, for whoever follows the job.

The whole output is the result. A run that is begun again tells its pieces again, under its own attempt's number.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
import structlog
from sqlalchemy import exc, text

from core import database

#: What one attempt may tell, in bytes of JSON; of what is over it the event stream says `truncated`, once.
MOST_BYTES = 1 << 20
log = structlog.get_logger()

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
        #: As JSON; an empty text stands for what is left out.
        self._waiting: list[str] = []
        self._told = 0
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

    def waiting(self) -> list[str]:
        """All that waits, in order."""
        with self._lock:
            return list(self._waiting)

    def event(self, waiting: Sequence[str]) -> str:
        """These as JSON. `first` is the number of the first one within the attempt: what is told twice, since nobody
        could say whether it had been stored, has the same."""
        pieces = ",".join(piece for piece in waiting if piece)
        rest = "" if all(waiting) else ', "truncated": true'
        return f'{{"first": {self._told}, "pieces": [{pieces}]{rest}}}'

    def told(self, waiting: Sequence[str]) -> None:
        """They wait no more."""
        with self._lock:
            del self._waiting[: len(waiting)]
            self._told += len(waiting)


def tell(engine: sqlalchemy.Engine, attempts: Mapping[tuple[uuid.UUID, int], Pieces]) -> None:
    """One event for each job, by its id and attempt, that has pieces waiting; raises an outage, and loses none then.

    What was made under an attempt that is not ours any more is told to nobody. Not to be called twice at once.
    """
    waiting = {key: found for key, pieces in attempts.items() if (found := pieces.waiting())}
    if not waiting:
        return
    parameters = {
        "ids": [job_id for job_id, _ in waiting],
        "attempts": [attempt for _, attempt in waiting],
        "outputs": [attempts[key].event(found) for key, found in waiting.items()],
    }
    try:
        with engine.begin() as connection:
            connection.execute(_TELL, parameters)
    except database.OUTAGES:
        raise
    except exc.DBAPIError:
        # The result does not depend on it, nor does the lease.
        log.exception("pieces_refused", job_ids=[str(job_id) for job_id, _ in waiting])
    for key, found in waiting.items():
        attempts[key].told(found)
