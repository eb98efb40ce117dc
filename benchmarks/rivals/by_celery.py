"""Plain Celery, which acknowledges before it runs and keeps no results."""

from __future__ import annotations

import os

import celery

from benchmarks.rivals import work

app = celery.Celery("plain", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    task_default_queue="plain",
    worker_prefetch_multiplier=64,
    broker_transport_options={"global_keyprefix": "plain:"},
)
WORKER = ("celery", "-A", "benchmarks.rivals.by_celery", "worker", "--concurrency", "1", "-l", "WARNING")

predict = app.task(name="plain.predict")(work.predict)


def enqueue(count: int) -> None:
    for place in work.places(count):
        predict.delay(place)
