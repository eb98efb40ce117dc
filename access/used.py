"""When keys were last used: noted in memory, and written down for many of them at once."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading

import sqlalchemy
from sqlalchemy import text

from core import database

#: So long after a key was used that is in the database; a process that is killed before loses it.
WRITE_S = 30.0

# Another process that has the row writes the same minute, or will be told of a later one.
_WRITE = text("""
WITH mine AS (SELECT id FROM api_keys WHERE id = ANY (CAST(:ids AS text[])) FOR NO KEY UPDATE SKIP LOCKED)
UPDATE api_keys SET last_used_at = date_trunc('minute', used.at)
FROM mine JOIN unnest(CAST(:ids AS text[]), CAST(:times AS timestamptz[])) AS used (id, at) ON used.id = mine.id
WHERE api_keys.id = mine.id AND (last_used_at >= date_trunc('minute', used.at)) IS NOT TRUE
""")


class Used:
    """One process's; may be shared by threads."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._closed = False
        self._seen: dict[str, dt.datetime] = {}
        self._timer: threading.Timer | None = None

    def note(self, key_id: str, at: dt.datetime) -> None:
        """Remember it; it is written within WRITE_S."""
        with self._lock:
            self._seen[key_id] = at
            if self._timer is None:
                self._begin()

    def write(self) -> None:
        """Write down all that was noted; while the database is away it stays noted."""
        with self._writing:
            with self._lock:
                seen, self._seen, self._timer = self._seen, {}, None
            if not seen:
                return
            try:
                with self._engine.begin() as connection:
                    connection.execute(_WRITE, {"ids": list(seen), "times": list(seen.values())})
            except database.OUTAGES:
                with self._lock:
                    self._seen = seen | self._seen
                    if self._timer is None:
                        self._begin()

    def close(self) -> None:
        """Wait for what is being written, write what was noted since, if that is possible now, and begin no more."""
        with self._lock:
            timer, self._timer, self._closed = self._timer, None, True
        if timer is not None:
            timer.cancel()
        with self._writing:
            left = bool(self._seen)
        if left:
            self.write()

    def _begin(self) -> None:
        if self._closed:
            return
        timer = threading.Timer(WRITE_S, self.write)
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # there may be no thread more: whoever notes the next one tries again
            timer.start()
            self._timer = timer
