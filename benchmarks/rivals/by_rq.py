"""RQ with a worker that does not fork for each job: many times as fast as the one that it has if nothing is said."""

from __future__ import annotations

import os

import rq

from benchmarks.rivals import work

WORKER = ("rq.cli", "worker", "-w", "rq.worker.SimpleWorker", "--url", os.environ["REDIS_URL"], "--quiet", "rivals")


def enqueue(count: int) -> None:
    queue = rq.Queue("rivals", connection=work.board_at(os.environ["REDIS_URL"]))
    queue.enqueue_many(
        [rq.Queue.prepare_data(work.predict, args=(place,), result_ttl=0) for place in work.places(count)]
    )
