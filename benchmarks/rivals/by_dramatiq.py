"""Dramatiq: one process with its eight threads."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.rivals import work

broker = RedisBroker(url=os.environ["REDIS_URL"])
dramatiq.set_broker(broker)
predict = dramatiq.actor(work.predict, max_retries=0)
WORKER = ("dramatiq", "benchmarks.rivals.by_dramatiq", "-p", "1", "-t", "8")


def enqueue(count: int) -> None:
    for place in work.places(count):
        predict.send(place)
