"""The ledger of what is answered at once: added up in the process that answers, and written twice a second.

Jobs are written to it by their settle. Whoever is killed takes along what was answered in the last half second.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import sqlalchemy
import structlog
from sqlalchemy import text

from access.keys import Caller
from core import database, ids

log = structlog.get_logger()

FLUSH_S = 0.5
#: What the kind of such use is called, where a job has that of its own.
INLINE = "inline"

# Each row has an id in the place of a job's: what is written again, since nobody knows whether it was, is written once.
_ADD = text("""
INSERT INTO usage (job_id, tenant_id, key_id, model, version, kind, calls, units, price)
SELECT id, tenant_id, key_id, model, version, :kind, calls, units, units * unit_price
FROM unnest(CAST(:ids AS uuid[]), CAST(:tenants AS uuid[]), CAST(:keys AS text[]), CAST(:models AS text[]),
            CAST(:versions AS text[]), CAST(:prices AS numeric[]), CAST(:calls AS int[]), CAST(:units AS bigint[]))
  AS used (id, tenant_id, key_id, model, version, unit_price, calls, units)
ON CONFLICT (job_id) DO NOTHING
""")


class _Of(NamedTuple):
    """By whom, of what, and at which price of a unit."""

    tenant_id: uuid.UUID
    key_id: str
    model: str
    version: str
    unit_price: Decimal


@dataclass
class _Sum:
    calls: int = 0
    units: int = 0


@dataclass(frozen=True)
class _Row:
    id: uuid.UUID
    of: _Of
    sum: _Sum


class Ledger:
    """One process's; may be shared by threads. While Postgres is away it grows by one entry for each key, model and
    price, not by one for each call."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._adding, self._writing = threading.Lock(), threading.RLock()
        self._new: dict[_Of, _Sum] = {}
        self._sent: Sequence[_Row] = ()
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, caller: Caller, model: str, version: str, *, units: int) -> None:
        """One call that was answered, and what it costs; waits for nothing."""
        of = _Of(caller.tenant_id, caller.key_id, model, version, caller.tier.unit_price)
        with self._adding:
            if (found := self._new.get(of)) is None:
                found = self._new[of] = _Sum()
            found.calls += 1
            found.units += units
            if self._thread is None:
                self._start()

    def flush(self) -> None:
        """Write what was added until now; raises an outage, and then keeps it for the next time."""
        with self._writing:
            # What is added meanwhile is for the next time, or there would be no end of it.
            self._send()
            self._take()
            self._send()

    def unwritten(self, tenant_id: uuid.UUID) -> int:
        """Units of a tenant that are not in the database yet, as far as this process knows."""
        with self._adding:
            new = sum(found.units for of, found in self._new.items() if of.tenant_id == tenant_id)
            return new + sum(row.sum.units for row in self._sent if row.of.tenant_id == tenant_id)

    def close(self) -> None:
        """Write what is left, if that is possible now, and use no connection any more."""
        with self._writing, contextlib.suppress(*database.OUTAGES):
            self._closed = True
            self.flush()

    def _take(self) -> None:
        """From now on what is new is written as it is."""
        with self._adding:
            self._sent = [_Row(ids.uuid7(), of, found) for of, found in self._new.items()]
            self._new = {}

    def _send(self) -> None:
        if self._sent:
            with self._engine.begin() as connection:
                connection.execute(_ADD, _columns(self._sent))
            self._sent = ()

    def _start(self) -> None:
        # The process waits for it at its end, which has to be said: a server's threads, which add, may be daemons.
        thread = threading.Thread(target=self._always, name="ledger", daemon=False)
        with contextlib.suppress(RuntimeError):  # there may be no thread more: the next call tries again
            thread.start()
            self._thread = thread

    def _always(self) -> None:
        main, goes_on = threading.main_thread(), True
        while goes_on and not self._closed:
            main.join(FLUSH_S)
            # Before it writes: of what is answered meanwhile something may be left for one more time.
            goes_on = main.is_alive()
            with self._writing:
                if not self._closed:
                    self._try()
        with self._writing:  # perhaps whoever closes it writes at this moment
            left = [row.sum for row in self._sent] + list(self._new.values())
        if left:
            log.error("usage_lost", calls=sum(item.calls for item in left), units=sum(item.units for item in left))

    def _try(self) -> None:
        try:
            self.flush()
        except database.OUTAGES:
            return
        except Exception:
            # Whatever it is, what is added from now on must be written some day.
            log.exception("ledger_not_written")


def _columns(rows: Sequence[_Row]) -> dict[str, object]:
    return {
        "kind": INLINE,
        "ids": [row.id for row in rows],
        "tenants": [row.of.tenant_id for row in rows],
        "keys": [row.of.key_id for row in rows],
        "models": [row.of.model for row in rows],
        "versions": [row.of.version for row in rows],
        "prices": [row.of.unit_price for row in rows],
        "calls": [row.sum.calls for row in rows],
        "units": [row.sum.units for row in rows],
    }
