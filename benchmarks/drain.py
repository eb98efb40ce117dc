"""Durable jobs drained per second: by one worker process and by several, what each job has Postgres write, and what it
costs where Postgres and Redis are further away."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import text

from benchmarks import bed
from core import database
from local.child import Child
from tests.chaos.proxy import Proxy

JOBS = 20_000
ROW = {"text": "I love this product, it works perfectly!", "language": "en", "confidence_threshold": 0.0}

_INSERT = text("""
INSERT INTO jobs (id, tenant_id, kind, batches, pool, model, version,
                  lane, expires_at, max_attempts, timeout_s, inputs, options,
                  metadata, request_id)
SELECT uuidv7(), (SELECT id FROM tenants LIMIT 1), 'predict', true, :pool, :model, :version,
       :lane, now() + interval '1 day', 4, 300,
       CAST(:inputs AS json), '{}', '{}', 'req_bench'
FROM generate_series(1, :jobs)
""")
_DONE = text("""
SELECT count(*) FILTER (WHERE status = 'completed') AS done,
  extract(epoch FROM max(finished_at) - min(started_at)) AS took
FROM jobs WHERE created_at >= :since
""")
_NOW = text("SELECT now()")
#: What Postgres writes: its log's length, transactions, and versions of rows that nobody sees any more.
_WRITTEN = text("""
SELECT pg_current_wal_insert_lsn() - '0/0' AS wal, xact_commit AS transactions,
  (SELECT sum(n_tup_upd + n_tup_del) FROM pg_stat_user_tables) AS dead
FROM pg_stat_database WHERE datname = current_database()
""")
_WORKING = text("SELECT name FROM workers WHERE works AND pools = '{cpu}'")
#: By when they are done every process has loaded what it needs: it shows itself before.
WARM = 3_000
PROCESSES = (1, 2, 4)
#: Into what each process of a worker is asked to do, in milliseconds, Postgres and Redis alike.
AWAY_MS = (0, 2, 20)


class What(NamedTuple):
    """Jobs are of one model, and each has this row."""

    model: str = "sentiment"
    version: str = "1.0.0"
    pool: str = "cpu"
    row: Mapping[str, Any] = ROW


SENTIMENT = What()


class Drained(NamedTuple):
    """Jobs a second, and of each job: bytes of the log, transactions, and versions of rows left behind."""

    rate: float
    wal: float
    transactions: float
    dead: float


def run() -> None:
    print(f"{JOBS} jobs of one text each: claimed, predicted, result and usage stored in Postgres")
    print("  worker processes   jobs/s   of each job: bytes of WAL, transactions, versions of rows left behind")
    for processes in PROCESSES:
        with bed.made() as found:
            done = drained(found, processes=processes)
        print(f"  {processes:16} {done.rate:8.0f}   {done.wal:.0f}, {done.transactions:.3f}, {done.dead:.2f}")
    print("  engines further away, one process: jobs/s")
    for ms in AWAY_MS:
        with bed.made() as found:
            _move(found, ms)
            print(f"  {ms:13} ms {drained(found).rate:8.0f}")


def coatcheck(found: bed.Bed) -> float:
    """Jobs a second, by one worker process."""
    return drained(found).rate


def drained(found: bed.Bed, *, processes: int = 1) -> Drained:
    found.key()
    children = started(found, processes=processes)
    since = waiting(found, JOBS)
    before = _written(found)
    took_s = ended(found, since, JOBS)
    for child in reversed(children):
        child.stop()
    after = _written(found)
    return Drained(JOBS / took_s, *((late - early) / JOBS for early, late in zip(before, after, strict=True)))


def waiting(found: bed.Bed, jobs: int, what: What = SENTIMENT) -> dt.datetime:
    """So many jobs wait since then, by the database's clock."""
    with found.parts.engine.begin() as connection:
        since: dt.datetime = connection.execute(_NOW).scalar_one()
        said = {"model": what.model, "version": what.version, "pool": what.pool, "inputs": database.dumps(what.row)}
        lane = f"{what.pool}/predict/{what.model}/{what.version}"
        connection.execute(_INSERT, {"jobs": jobs, "lane": lane, **said})
    return since


def ended(found: bed.Bed, since: dt.datetime, jobs: int) -> float:
    """Wait for the end of so many jobs that have waited since then; the seconds from the first one's start."""
    bed.until(lambda: done(found, since).done == jobs, 600, every_s=0.25)
    return float(done(found, since).took)


def started(found: bed.Bed, *, processes: int = 1) -> list[Child]:
    """A worker with all its processes, of which each that begins takes a core from those that are there; and who does
    the chores."""
    celery = ("celery", "-A", "workers.app")
    children = [
        found.python("worker", *celery, "worker", "-Q", "cpu", "--concurrency", str(processes), "-l", "WARNING"),
        found.python("io", *celery, "worker", "-Q", "control", "-P", "threads", "-n", "io@%h", "-l", "WARNING"),
        found.python("beat", *celery, "beat", "--pidfile=", "-l", "WARNING"),
    ]
    bed.until(lambda: len(names(found)) == processes)
    ended(found, waiting(found, WARM), WARM)
    return children


def names(found: bed.Bed) -> list[str]:
    """The processes that run jobs, each `node/incarnation/pid`."""
    with found.parts.engine.connect() as connection:
        return list(connection.execute(_WORKING).scalars())


def done(found: bed.Bed, since: dt.datetime) -> sqlalchemy.Row[Any]:
    """How many jobs are of those that have waited since then, and how long that took."""
    with found.parts.engine.connect() as connection:
        return connection.execute(_DONE, {"since": since}).one()


def _written(found: bed.Bed) -> list[float]:
    with found.superuser.connect() as connection:
        return [float(value) for value in connection.execute(_WRITTEN).one()]


def _move(found: bed.Bed, ms: float) -> None:
    """Each question to an engine takes so much longer, there and back."""
    for name in ("DATABASE_URL", "REDIS_URL") if ms else ():
        url = sqlalchemy.make_url(found.env[name])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        Proxy(port, url.port or 0).delay_s = ms / 2000
        found.env[name] = url.set(port=port).render_as_string(hide_password=False)
