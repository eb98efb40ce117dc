"""What time it is: the database's, whatever this machine believes."""

from __future__ import annotations

import datetime as dt
import time

import sqlalchemy
from sqlalchemy import text

from core import database

#: How long a look at the database's clock is carried on by the monotonic one.
LOOK_S = 60.0

_NOW = text("SELECT extract(epoch FROM clock_timestamp())::float")


class Clock:
    """The database's clock, as one process knows it; may be shared by threads."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._looked: tuple[float, float] | None = None  #: at the monotonic clock, and at the database's

    def knows_for(self) -> float:
        """For how many seconds more it need not be asked."""
        return 0.0 if self._looked is None else self._looked[0] + LOOK_S - time.monotonic()

    def now_s(self) -> float:
        """In epoch seconds; raises Unavailable."""
        looked = self._looked
        if looked is None or time.monotonic() - looked[0] > LOOK_S:
            looked = self._look()
        return looked[1] + time.monotonic() - looked[0]

    def now(self) -> dt.datetime:
        """Raises Unavailable."""
        return dt.datetime.fromtimestamp(self.now_s(), dt.UTC)

    def ahead_s(self) -> float:
        """How far this machine's own clock is ahead of it, negative behind; raises Unavailable."""
        return time.time() - self.now_s()

    def look(self) -> float:
        """The same, asked now; raises Unavailable."""
        self._look()
        return self.ahead_s()

    def _look(self) -> tuple[float, float]:
        try:
            with self._engine.connect() as connection:
                said = connection.execute(_NOW).scalar_one()
        except database.OUTAGES as error:
            raise database.unavailable(error) from error
        self._looked = (time.monotonic(), said)
        return self._looked
