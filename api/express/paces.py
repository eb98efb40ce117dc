"""Which models are open and quick enough for everybody to wait for."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from core import errors
from inference import check
from registry.shelf import Shelf
from registry.versions import Resolved

log = structlog.get_logger()

#: What a run may take, on average of late.
QUICK_S = 0.01
#: For so long one that takes longer, or could not be opened, is left alone.
LEFT_S = 10.0
_NEWEST = 1 / 16


@dataclass
class _Pace:
    """How long a run takes, on average, as of when."""

    run_s: float
    at: float


class Paces:
    """Of versions by their digests: what is not known of them is found out in a thread, while others answer."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._paces: dict[str, _Pace] = {}
        self._trying: set[str] = set()
        self._thread = ThreadPoolExecutor(1, "express-models")

    def is_quick(self, resolved: Resolved) -> bool:
        """Whether a run of it takes no time; False, and found out, where nobody knows."""
        pace = self._paces.get(resolved.digest)
        if pace is not None and pace.run_s <= QUICK_S and self._shelf.is_open(resolved):
            return True
        is_left = pace is not None and pace.run_s > QUICK_S and time.monotonic() - pace.at < LEFT_S
        if not is_left and resolved.digest not in self._trying:
            self._trying.add(resolved.digest)
            self._thread.submit(self._try, resolved)
        return False

    def took(self, resolved: Resolved, run_s: float) -> None:
        """A run of one that was quick."""
        pace = self._paces[resolved.digest]
        pace.run_s += (run_s - pace.run_s) * _NEWEST
        pace.at = time.monotonic()

    def _try(self, resolved: Resolved) -> None:
        """Open it, and have it answer its golden examples."""
        run_s = math.inf
        try:
            opened = self._shelf.predictor(resolved)
            began = time.perf_counter()
            check.check_golden(opened)
            run_s = (time.perf_counter() - began) / len(resolved.manifest.golden)
        except errors.CoatcheckError as error:
            log.info("not_for_express", model=resolved.model, version=resolved.version, code=error.code)
        finally:
            self._paces[resolved.digest] = _Pace(run_s, time.monotonic())
            self._trying.discard(resolved.digest)
