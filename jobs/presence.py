"""Signs of life: every process of a worker says every other second, on the database's clock, that it goes round.

A pool is worked on while there is a process that runs its jobs and whose parent hands them out: a frozen child and a
frozen parent leave it alike. Nothing about a job is decided by it; people, probes and estimates read it. With it goes
before when no lease of the process ends, for claims, which count what runs (`jobs.claim`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy
import structlog
from sqlalchemy import text

from core import broker, chores, database

log = structlog.get_logger()

TELL_S = 2.0
#: Who has said nothing for so long is not counted on.
SILENT_S = 10.0
#: Who has said nothing for so long holds nothing any more.
GONE_S = 600.0
#: How much the newest stretch of work weighs in the rate.
WEIGHT = 0.5

_TELL = text("""
INSERT INTO workers (name, node, pools, receives, works, jobs_per_s, leases_from)
VALUES (:name, :node, :pools, :receives, :works, :jobs_per_s, now() + make_interval(secs => :lease_s))
ON CONFLICT (name) DO UPDATE SET seen_at = now(), jobs_per_s = excluded.jobs_per_s,
  leases_from = least(workers.seen_at, CAST(:renewed_since AS timestamptz)) + make_interval(secs => :lease_s)
""")

# Who was stopped tells nothing more of itself, and goes on for as long as its grace at most.
_LEASES = text("SELECT min(leases_from) FROM workers WHERE seen_at > now() - make_interval(secs => :gone_s)")

#: One row for each process that runs jobs, `seen_at` being the older of its own sign and its parent's.
WORKING = """
SELECT pool, works.jobs_per_s, least(works.seen_at, max(receives.seen_at)) AS seen_at
FROM workers AS works JOIN workers AS receives USING (node) CROSS JOIN unnest(works.pools) AS pool
WHERE works.works AND receives.receives GROUP BY works.name, pool
"""

_POOLS = text(f"""
SELECT pool, max(seen_at) AS seen_at, extract(epoch FROM now() - max(seen_at))::float AS silent_s,
  count(*) FILTER (WHERE seen_at > now() - make_interval(secs => silent_s)) AS workers
FROM (
  SELECT pool, seen_at, CAST(:silent_s AS float) AS silent_s FROM ({WORKING}) AS working
  UNION ALL SELECT 'sweep', max(succeeded_at), :late_s FROM chores HAVING count(*) > 0
) AS signs GROUP BY pool
""")  # noqa: S608 - constants only

_OF_NODE = text("SELECT name FROM workers WHERE node = :node")
_FORGET = text("DELETE FROM workers WHERE name = ANY (:names)")

_SILENT = text("DELETE FROM workers WHERE seen_at < now() - interval '1 day'")

#: Beside the pools of jobs and of webhooks: who does the chores, which takes beat and the io worker.
SWEEP = "sweep"


class Presence:
    """A worker process as it shows itself: its name, its pools, and its speed in jobs per second of the time in which
    it had work."""

    def __init__(self, name: str, *, node: str = "", pools: Sequence[str] = (), lease_s: float = 0.0) -> None:
        self.name = name
        self.lease_s = lease_s
        #: Before where no lease of any process ends, as of the last sign; None before the first one.
        self.leases_from: dt.datetime | None = None
        #: Since when all that this process holds was claimed or renewed; None while it holds nothing.
        self.renewed_since: Callable[[], dt.datetime | None] = lambda: None
        self.receives = False  #: it takes wake-ups from Redis: the parent
        self.works = True  #: it runs jobs: a child, or a parent that has threads instead of children
        self._node = node
        self._pools = list(pools)
        self._rate = 0.0
        self._jobs = 0
        self._busy_s = 0.0

    @contextlib.contextmanager
    def working(self, jobs: int) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self._jobs += jobs
            self._busy_s += time.monotonic() - started

    def tell(self, engine: sqlalchemy.Engine) -> None:
        """Write it down."""
        jobs, busy_s, self._jobs, self._busy_s = self._jobs, self._busy_s, 0, 0.0
        if jobs:
            newest = jobs / max(busy_s, 1e-6)
            self._rate = newest if not self._rate else WEIGHT * newest + (1 - WEIGHT) * self._rate
        shown = {"name": self.name, "node": self._node, "pools": self._pools, "jobs_per_s": self._rate}
        leases = {"lease_s": self.lease_s, "renewed_since": self.renewed_since()}
        with engine.begin() as connection:
            connection.execute(_TELL, {**shown, **leases, "receives": self.receives, "works": self.works})
            self.leases_from = connection.execute(_LEASES, {"gone_s": GONE_S}).scalar_one()


def always(tell: Callable[[], None]) -> None:
    """Call it every TELL_S for ever."""
    while True:
        try:
            tell()
        except database.OUTAGES as error:
            log.warning("sign_of_life_not_told", error=type(error).__name__)
        time.sleep(TELL_S)


def forget(engine: sqlalchemy.Engine, node: str, there: Callable[[str], bool]) -> None:
    """A node's own word on its processes that are not there any more: they need not fall silent first."""
    with engine.begin() as connection:
        names = connection.execute(_OF_NODE, {"node": node}).scalars()
        gone = [name for name in names if not there(name.rpartition("/")[2])]
        if gone:
            connection.execute(_FORGET, {"names": gone})


def purge(engine: sqlalchemy.Engine) -> int:
    """Forget who has been silent for a day; returns how many processes."""
    with engine.begin() as connection:
        return connection.execute(_SILENT).rowcount


@dataclass(frozen=True)
class Pool:
    """How many processes work on a pool, and when the last one was heard of; None if none ever was."""

    workers: int = 0
    seen_at: dt.datetime | None = None
    silent_s: float | None = None


def pools(engine: sqlalchemy.Engine) -> Mapping[str, Pool]:
    """Every pool, that of webhooks and the doing of chores among them."""
    parameters = {"silent_s": SILENT_S, "late_s": chores.LATE_S}
    with engine.connect() as connection:
        found = {
            row.pool: Pool(row.workers, row.seen_at, row.silent_s) for row in connection.execute(_POOLS, parameters)
        }
    return {name: found.get(name, Pool()) for name in (*broker.POOLS, broker.WEBHOOKS, SWEEP)}
