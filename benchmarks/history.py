"""What it costs a job to live beside ten million that have ended: claim, settle and poll, against an empty table."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import sqlalchemy
from sqlalchemy import text

from benchmarks import bed
from inference.output import Label
from jobs import claim, queries, settle

T = TypeVar("T")

ENDED = 10_000_000
STEP = 500_000
BATCH = 64
ROUNDS = 400

_FILL = text("""
INSERT INTO jobs (id, tenant_id, kind, batches, pool, model, version,
                  lane, status, expires_at, attempt, max_attempts, timeout_s,
                  inputs, options, metadata, request_id, started_at, finished_at, progress)
SELECT uuidv7(), CAST(:tenant AS uuid), 'predict', true, 'cpu', 'sentiment', '1.0.0', 'cpu/predict/sentiment/1.0.0',
'completed',
       now(), 1, 4, 300, '{"text": "Lovely"}', '{}', '{}', 'req_bench', now(), now(), 100
FROM generate_series(1, :count)
""")
_PENDING = text("""
INSERT INTO jobs (id, tenant_id, kind, batches, pool, model, version,
                  lane, expires_at, max_attempts, timeout_s, inputs, options,
                  metadata, request_id)
SELECT uuidv7(), CAST(:tenant AS uuid), 'predict', true, 'cpu', 'sentiment', '1.0.0', 'cpu/predict/sentiment/1.0.0',
       now() + interval '1 day', 4, 300, '{}', '{}', '{}', 'req_bench'
FROM generate_series(1, :count) RETURNING id
""")


def run() -> None:
    with bed.made() as found:
        engine = found.parts.engine
        tenant = found.parts.keyring.verify(found.key()).tenant_id
        empty = measure(engine, tenant)
        fill(found.superuser, tenant)
        full = measure(engine, tenant)
    print(f"median of {ROUNDS} rounds, ms          empty table   {ENDED:,} ended jobs   ratio")
    for name in empty:
        print(f"  {name:<32} {empty[name]:11.2f} {full[name]:19.2f} {full[name] / empty[name]:9.2f}")


def fill(superuser: sqlalchemy.Engine, tenant: uuid.UUID) -> None:
    with superuser.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text("SET statement_timeout = 0"))
        for done in range(0, ENDED, STEP):
            connection.execute(_FILL, {"tenant": tenant, "count": STEP})
            print(f"  {done + STEP:,} of {ENDED:,} ended jobs", flush=True)
        connection.execute(text("RESET session_replication_role"))
        connection.execute(text("VACUUM ANALYZE jobs"))


def measure(engine: sqlalchemy.Engine, tenant: uuid.UUID) -> dict[str, float]:
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        with engine.begin() as connection:
            ids = list(connection.execute(_PENDING, {"tenant": tenant, "count": BATCH}).scalars())
        take = partial(claim.claim, engine, pool="cpu", worker="b", wake_id="b", lease_s=20)
        batch = clock(times, f"claim of {BATCH}", take)
        assert batch is not None
        done = [settle.Done(job, Label("positive", 0.9, {"positive": 0.9}), 1) for job in batch.jobs]
        clock(times, f"settle of {BATCH}", partial(settle.complete, engine, done))
        clock(times, "poll", partial(queries.get, engine, tenant, ids[0]))
        first_page = partial(queries.page, engine, tenant, queries.Filters(), limit=20, cursor=None)
        clock(times, "first page of the list", first_page)
    return {name: statistics.median(values) * 1000 for name, values in times.items()}


def clock(times: dict[str, list[float]], name: str, do: Callable[[], T]) -> T:
    started = time.perf_counter()
    found = do()
    times.setdefault(name, []).append(time.perf_counter() - started)
    return found
