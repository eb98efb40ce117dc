"""Whether this process can answer requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core import broker, errors
from core.clock import Clock
from jobs.submit import Submitter
from registry.catalog import Catalog
from storage.objects import Store

#: By so much this machine's clock may differ from the database's before it is called wrong.
SKEW_S = 5.0


@dataclass(frozen=True)
class Probe:
    """What is asked, and must not be long about it."""

    clock: Clock
    submitter: Submitter
    catalog: Catalog
    line: broker.Line
    store: Store

    def check(self) -> dict[str, Any]:
        """`status` is `ready` when the database is there and takes jobs, and the stable models open; `checks` says
        what answers."""
        ahead_s = self._ahead_s()
        checks = {
            "database": ahead_s is not None,
            "accepts": ahead_s is not None and self.submitter.accepts,
            "redis": self.line.ping(),
            "storage": self.store.ping(),
            "clock": ahead_s is None or abs(ahead_s) < SKEW_S,
        }
        loaded = checks["database"] and self._opens()
        return {
            "status": "ready" if loaded and checks["accepts"] else "unavailable",
            "model_loaded": loaded,
            "models": self.catalog.loaded(),
            "checks": checks,
            "clock_ahead_s": ahead_s,
        }

    def _ahead_s(self) -> float | None:
        """None when the database does not answer."""
        try:
            return round(self.clock.look(), 1)
        except errors.Unavailable:
            return None

    def _opens(self) -> bool:
        try:
            inline = [item for item in self.catalog.versions() if item.stable and item.manifest.inline]
            for item in inline:
                self.catalog.open(self.catalog.resolve(item.model, item.version))
        except errors.CoatcheckError:
            return False
        return bool(inline)
