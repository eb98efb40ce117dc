"""Huey: one process, one worker, no results."""

from __future__ import annotations

import os

import huey

from benchmarks.rivals import work

app = huey.RedisHuey("rivals", url=os.environ["REDIS_URL"], results=False)
predict = app.task()(work.predict)
WORKER = ("huey.bin.huey_consumer", "benchmarks.rivals.by_huey.app", "-k", "thread", "-w", "1", "-q")


def enqueue(count: int) -> None:
    for place in work.places(count):
        predict(place)
