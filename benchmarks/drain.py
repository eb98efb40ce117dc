"""Durable jobs drained per second by one worker process."""

from __future__ import annotations

from sqlalchemy import text

from benchmarks import bed
from core import database

JOBS = 10_000
ROW = {"text": "I love this product, it works perfectly!", "language": "en", "confidence_threshold": 0.0}

INSERT = text("""
INSERT INTO jobs (id, tenant_id, kind, batches, pool, model, version,
                  lane, expires_at, max_attempts, timeout_s, inputs, options,
                  metadata, request_id)
SELECT gen_random_uuid(), (SELECT id FROM tenants LIMIT 1), 'predict', true, 'cpu', 'sentiment', '1.0.0',
       'cpu/predict/sentiment/1.0.0', now() + interval '1 day', 4, 300, CAST(:inputs AS json), '{}', '{}', 'req_bench'
FROM generate_series(1, :jobs)
""")
_DONE = text(
    "SELECT count(*), extract(epoch FROM max(finished_at) - min(started_at)) FROM jobs WHERE status = 'completed'"
)


def run() -> None:
    with bed.made() as found:
        mine = coatcheck(found)
    print(f"jobs drained by one worker process, {JOBS} jobs of one text each (`./run bench queues`: beside others)")
    print(f"  coatcheck      {mine:8.0f} /s   (claimed, predicted, result and usage stored in Postgres)")


def coatcheck(found: bed.Bed) -> float:
    found.key()
    engine = found.parts.engine
    with engine.begin() as connection:
        connection.execute(INSERT, {"jobs": JOBS, "inputs": database.dumps(ROW)})
    celery = ("celery", "-A", "workers.app")
    worker = found.python("worker", *celery, "worker", "-Q", "cpu", "--concurrency", "1", "-l", "WARNING")
    io = found.python("io", *celery, "worker", "-Q", "control", "-P", "threads", "-n", "io@%h", "-l", "WARNING")
    beat = found.python("beat", *celery, "beat", "--pidfile=", "-l", "WARNING")

    def count() -> tuple[int, float]:
        with engine.connect() as connection:
            row = connection.execute(_DONE).one()
        return row[0], float(row[1] or 0)

    bed.until(lambda: count()[0] == JOBS)
    for child in (beat, io, worker):
        child.stop()
    return JOBS / count()[1]
