"""What a model has answered to the questions of explanations, kept in our store: an attempt that begins again does not
ask them again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping

import numpy as np

from core import errors
from inference.explain.wanted import Known
from storage.objects import Store

#: What takes less than this has nothing that is worth keeping.
EVERY_S = 5.0


class Remembered:
    """Of one attempt of a job. An answer is the same whoever asks, so that it matters to nobody which attempt has kept
    it; there are no more than the model's evaluations. Where the store takes or gives nothing, all is asked again."""

    def __init__(self, store: Store, folder: str, attempt: int) -> None:
        self._store, self._folder, self._begins_again = store, folder, attempt > 1
        #: By the places of inputs, what is known of them, and of how much of that it is sure that it is kept.
        self._known: dict[int, Known] = {}
        self._kept: dict[int, int] = {}
        self._kept_at = time.monotonic()
        self._keeping: threading.Thread | None = None

    def of(self, place: int) -> Known:
        """What earlier attempts have learned of the input in this place; what is added to it is kept as well."""
        found: Known = {}
        if self._begins_again:
            with contextlib.suppress(errors.Unavailable):
                key = self._key(place)
                found = read(self._store.get(key)) if self._store.head(key) else {}
        self._known[place], self._kept[place] = found, len(found)
        return found

    def keep(self) -> None:
        """All that is new, once in a while; nobody waits for that."""
        now = time.monotonic()
        if now - self._kept_at < EVERY_S or (self._keeping is not None and self._keeping.is_alive()):
            return
        self._kept_at = now
        new = {place: (len(known), written(known)) for place, known in self._known.items() if self._grown(place)}
        self._keeping = threading.Thread(target=self._put, args=(new,), daemon=True)
        self._keeping.start()

    def _grown(self, place: int) -> bool:
        return len(self._known[place]) > self._kept[place]

    def _put(self, new: Mapping[int, tuple[int, bytes]]) -> None:
        with contextlib.suppress(errors.Unavailable):
            for place, (much, data) in new.items():
                self._store.put(self._key(place), data)
                self._kept[place] = much

    def _key(self, place: int) -> str:
        return f"{self._folder}asked.{place}"


def written(known: Known) -> bytes:
    """How many features there are, and of each answer which of them were there, as bits, and what that was worth."""
    features = len(next(iter(known), b""))
    there = np.array([np.packbits(np.frombuffer(key, bool)) for key in known])
    rows = np.zeros(len(known), _form(features))
    rows["there"], rows["worth"] = there, [*known.values()]
    return features.to_bytes(4, "big") + rows.tobytes()


def read(data: bytes) -> Known:
    """What was `written`."""
    features = int.from_bytes(data[:4], "big")
    rows = np.frombuffer(data[4:], _form(features))
    there = np.unpackbits(rows["there"], axis=1, count=features).astype(bool)
    return {key.tobytes(): float(worth) for key, worth in zip(there, rows["worth"], strict=True)}


def _form(features: int) -> np.dtype[np.void]:
    return np.dtype([("there", np.uint8, ((features + 7) // 8,)), ("worth", "<f8")])
