"""What each queue of others is given to do, as cheap as it can be made: a prediction, of which nothing is kept. The
first and the last say when they were done."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

import redis

from inference import bundle, model

ROW = {"text": "I love this product, it works perfectly!", "language": "en", "confidence_threshold": 0.0}
FIRST, LAST = "rival-first", "rival-last"


@functools.cache
def _opened() -> model.Model:
    return model.open_model(bundle.load(Path(__file__).resolve().parents[2] / "bundles" / "sentiment-1"), threads=1)


@functools.cache
def board_at(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)


def predict(place: int) -> None:
    """`place` is 0 for the first, and -1 for the last."""
    _opened().predict([ROW])
    if place in (0, -1):
        board_at(os.environ["REDIS_URL"]).set(FIRST if place == 0 else LAST, time.time())


def places(count: int) -> list[int]:
    return [0, *[1] * (count - 2), -1]
