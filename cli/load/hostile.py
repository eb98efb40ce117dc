"""Requests that must be refused, and how."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cli.load.door import Answer, Door
from cli.load.model import Model
from core import errors

#: More than the API reads of any body.
TOO_MUCH = b'{"model": "' + b"x" * (4 * 1024 * 1024 + 1) + b'"}'
#: In the form of a key; it opens nothing.
BAD_KEY = f"cck_{'0' * 12}_{'0' * 56}"
#: Bad keys that come more often have the network of this machine held back, and with it those who have good ones.
BAD_KEY_EVERY_S = 6.0


@dataclass(frozen=True)
class Trick:
    """Something that is wrong, and the code that it must be answered with."""

    code: str
    play: Callable[[Door, Model], Answer]


NO_KEY = Trick(errors.Unauthorized.code, lambda door, model: door.post("/predict", model.one, key=BAD_KEY))
TRICKS = (
    Trick(errors.MalformedRequest.code, lambda door, _: door.post("/predict", b'{"inputs": ')),
    Trick(errors.InvalidInput.code, lambda door, model: door.post("/predict", {**model.one, "no_such_field": 1})),
    Trick("PAYLOAD_TOO_LARGE", lambda door, _: door.post("/predict", TOO_MUCH)),
    Trick(errors.ModelNotFound.code, lambda door, _: door.post("/predict", {"model": "nope", "inputs": {}})),
)


class Tricks:
    """Which trick is next."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._bad_key_at = 0.0
        self._lock = threading.Lock()

    def next(self) -> Trick:
        with self._lock:
            now = time.monotonic()
            if now >= self._bad_key_at:
                self._bad_key_at = now + BAD_KEY_EVERY_S
                return NO_KEY
            return self._chance.choice(TRICKS)
