"""The other side of `drain`: plain Celery, one message per job, nothing stored."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

import celery
import redis

from inference import bundle, model

app = celery.Celery("plain", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    task_default_queue="plain",
    worker_prefetch_multiplier=64,
    broker_transport_options={"global_keyprefix": "plain:"},
)


@functools.cache
def opened() -> model.Model:
    return model.open_model(bundle.load(Path(__file__).resolve().parent.parent / "bundles" / "sentiment-1"))


@functools.cache
def counter() -> redis.Redis:
    return redis.Redis.from_url(os.environ["REDIS_URL"])


@app.task(name="plain.predict")
def predict(number: int, row: dict[str, object]) -> None:
    opened().predict([row])
    if number in (0, -1):
        counter().set(f"plain-time:{number}", time.time())
