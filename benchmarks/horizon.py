"""What a session elsewhere costs that holds a snapshot, so that nothing that ended since can be cleaned up: half a
million jobs drained by one worker, with one and without, and what Postgres says of each claim."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

import sqlalchemy
from sqlalchemy import text

from benchmarks import bed, drain
from core import database

ROUND, ROUNDS = 25_000, 20
#: Beside it, for more than the worker's own pool of connections.
HOLD = ("SET idle_in_transaction_session_timeout = 0", "SET statement_timeout = 0", "SELECT pg_current_xact_id()")
#: Of a round all stand at one place, and are taken by their ids.
_LAST = text("SELECT id FROM jobs WHERE created_at = :since ORDER BY id DESC LIMIT 1")
_ENDED = text("SELECT finished_at IS NOT NULL FROM jobs WHERE id = :id")
_RATE = text("""
SELECT count(*) / extract(epoch FROM max(finished_at) - min(started_at)) FROM jobs WHERE created_at >= :since
""")
_DEAD = text("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'jobs'")
_CLAIM = re.compile(r"duration: ([0-9.]+) ms .*:\s+WITH running AS MATERIALIZED")


class Drained(NamedTuple):
    """Jobs a second of each round, how long each claim of the last round took, in ms, and the dead rows at the end."""

    rates: list[float]
    claims_ms: list[float]
    dead: int


def run() -> None:
    free, held = measured(hold=False), measured(hold=True)
    print(f"jobs/s by rounds of {ROUND} jobs, one worker process, {ROUND * ROUNDS} jobs in all")
    for name, found in (("free", free), ("held", held)):
        print(f"  {name}  {'  '.join(f'{rate:6.0f}' for rate in found.rates)}   {found.dead} dead rows")
    last = ROUNDS // 4
    ratio = median(held.rates[-last:]) / median(free.rates[-last:])
    print(f"  held / free, median of the last {last} rounds: {ratio:.2f}; of all: ", end="")
    print(f"{median(held.rates) / median(free.rates):.2f}")
    for name, found in (("free", free), ("held", held)):
        print(f"  claims of the last round, {name}: p50 {at(found, 0.5):.1f} ms, p99 {at(found, 0.99):.1f} ms")


def at(found: Drained, share: float) -> float:
    """The claim that this share of them was no slower than."""
    return sorted(found.claims_ms)[int(share * (len(found.claims_ms) - 1))]


def measured(*, hold: bool) -> Drained:
    with bed.made() as found:
        found.key()
        database_name = sqlalchemy.make_url(found.env["DATABASE_URL"]).database
        with found.superuser.begin() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{database_name}" SET log_min_duration_statement = 0')
        celery = ("celery", "-A", "workers.app")
        for name, *more in (
            ("worker", "worker", "-Q", "cpu", "--concurrency", "1"),
            ("io", "worker", "-Q", "control", "-P", "threads", "-n", "io@%h"),
            ("beat", "beat", "--pidfile="),
        ):
            found.python(name, *celery, *more, "-l", "WARNING")
        with _held(found) if hold else contextlib.nullcontext():
            rates = [_round(found) for _ in range(ROUNDS - 1)]
            log = found.folder / "postgres.log"
            before = log.stat().st_size
            rates.append(_round(found))
        with log.open(errors="replace") as lines:
            lines.seek(before)
            claims = [float(took) for took in _CLAIM.findall(lines.read())]
        with found.superuser.connect() as connection:
            return Drained(rates, claims, connection.execute(_DEAD).scalar_one())


@contextlib.contextmanager
def _held(found: bed.Bed) -> Iterator[None]:
    """Somebody who looks at the same moment all the time."""
    engine = database.create_engine(found.env["DATABASE_URL"])
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        for statement in HOLD:
            connection.execute(text(statement))
        yield
    engine.dispose()


def _round(found: bed.Bed) -> float:
    engine = found.parts.engine
    since = drain.waiting(found, ROUND)
    with engine.connect() as connection:
        last = connection.execute(_LAST, {"since": since}).scalar_one()

    def is_drained() -> bool:
        time.sleep(0.2)
        with engine.connect() as connection:
            return bool(connection.execute(_ENDED, {"id": last}).scalar_one())

    bed.until(is_drained, 600)
    with engine.connect() as connection:
        return float(connection.execute(_RATE, {"since": since}).scalar_one())
