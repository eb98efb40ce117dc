"""Which opened models stay open: those asked for last, as many as the budget holds, and whatever is in use.

In use is what somebody holds. Python counts that, so that nobody has to say when he is done, and a model that is
dropped here is there until its last answer is given.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import ref

import structlog

from core import metrics
from inference.manifest import Manifest
from inference.model import Model
from inference.opened import FileModel

log = structlog.get_logger()

AnyModel = Model | FileModel


@dataclass
class _Item:
    model: AnyModel
    asked_at: float = field(default_factory=time.monotonic)


class Kept:
    """Opened models by their digests; may be shared by threads."""

    def __init__(self, budget: int) -> None:
        """`budget` in bytes. A model that is larger than it is kept until another is asked for."""
        self._budget = budget
        self._lock = threading.Lock()
        self._kept: dict[str, _Item] = {}
        #: All that are open: also those that are in use and no longer kept.
        self._open: dict[str, ref[AnyModel]] = {}
        #: Bytes of each that was ever open here, and of those that are being opened.
        self._weights: dict[str, int] = {}
        self._coming: dict[str, int] = {}

    def get(self, digest: str) -> AnyModel | None:
        """The model if it is kept, without waiting for anybody."""
        item = self._kept.get(digest)
        if item is None:
            return None
        item.asked_at = time.monotonic()
        return item.model

    def get_back(self, digest: str) -> AnyModel | None:
        """The model if it is open; from now on it is kept."""
        with self._lock:
            found = self._alive(digest)
            if found is not None and digest not in self._kept:
                self._keep(digest, found)
            return found

    @contextmanager
    def room(self, digest: str, weight: int) -> Iterator[None]:
        """Around opening a model of so many bytes: it counts as if it were open, and others are closed for it."""
        with self._lock:
            self._coming[digest] = weight
            self._make_room()
        try:
            yield
        finally:
            with self._lock:
                self._coming.pop(digest, None)

    def add(self, digest: str, model: AnyModel) -> None:
        """Keep a model that was opened with `room` for it."""
        with self._lock:
            self._weights[digest] = self._coming.pop(digest)
            self._open[digest] = ref(model)
            self._keep(digest, model)

    def was_open(self, digest: str) -> bool:
        """Whether it is open, or was."""
        return digest in self._weights

    def all(self) -> list[AnyModel]:
        """Those that are open."""
        with self._lock:
            return [model for digest in self._open if (model := self._alive(digest)) is not None]

    def _keep(self, digest: str, model: AnyModel) -> None:
        self._kept[digest] = _Item(model)
        self._make_room(newest=digest)

    def _make_room(self, newest: str | None = None) -> None:
        """Close what is not in use, first that which was asked for longest ago, until all that is open is within the
        budget. What is in use is kept as far as there is room, and else closed when its use ends."""
        in_use: list[tuple[str, _Item]] = []
        for digest in sorted(self._kept, key=lambda digest: self._kept[digest].asked_at):
            if self._held() <= self._budget:
                break
            if digest == newest:
                continue
            item = self._kept.pop(digest)
            asked_at, manifest = item.asked_at, item.model.bundle.manifest
            del item
            # With the last reference went the model.
            model = self._alive(digest)
            if model is None:
                _tell(manifest)
            else:
                in_use.append((digest, _Item(model, asked_at)))
        left = self._budget - sum(self._coming.values()) - sum(self._weights[digest] for digest in self._kept)
        for digest, item in reversed(in_use):
            left -= self._weights[digest]
            if left >= 0:
                self._kept[digest] = item
            else:
                _tell(item.model.bundle.manifest)

    def _held(self) -> int:
        alive = (self._weights[digest] for digest in self._open if self._alive(digest) is not None)
        return sum(self._coming.values()) + sum(alive)

    def _alive(self, digest: str) -> AnyModel | None:
        found = self._open.get(digest)
        return None if found is None else found()


def _tell(closed: Manifest) -> None:
    metrics.MODELS_CLOSED.labels(closed.name).inc()
    log.info("model_closed", model=closed.name, version=closed.version)
