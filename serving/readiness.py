"""Whether this process can answer, and whether anybody is there to run what it accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy

from core import broker, chores, database, errors
from core.clock import Clock
from inference.manifest import SHAP
from jobs import kinds, presence
from jobs.submit import Submitter
from registry.catalog import Catalog
from registry.shelf import Shelf
from registry.versions import Version
from storage.objects import Store

#: By so much this machine's clock may differ from the database's before it is called wrong.
SKEW_S = 5.0
#: What is wrong when a check fails.
_FAULTS = {
    "database": "database does not answer",
    "accepts": "database stores nothing new: its disk is full, or it is read-only",
    "redis": "redis does not answer",
    "storage": "storage does not answer",
    "clock": "this machine's clock is not the database's: signed addresses are wrong",
}


@dataclass(frozen=True)
class Probe:
    """What is asked, and must not be long about it."""

    engine: sqlalchemy.Engine
    clock: Clock
    submitter: Submitter
    catalog: Catalog
    shelf: Shelf
    line: broker.Line
    store: Store

    def check(self) -> dict[str, Any]:
        """`status` is `unavailable` when the database is away or stores nothing, or no stable model opens, and requests
        are refused; `degraded` when they are answered, but something that jobs need is not there: `problems` says what;
        else `ready`."""
        ahead_s = self._ahead_s()
        checks = {
            "database": ahead_s is not None,
            "accepts": ahead_s is None or self.submitter.accepts,
            "redis": self.line.ping(),
            "storage": self.store.ping(),
            "clock": ahead_s is None or abs(ahead_s) < SKEW_S,
        }
        problems = [
            _FAULTS[name] for name, good in checks.items() if not good and (name != "accepts" or ahead_s is not None)
        ]
        loaded, closed = self._tried() if checks["database"] else (False, [])
        problems += [f"{name} does not open; the log says why" for name in closed if loaded]
        pools, standing = self._signs() if loaded else (None, [])
        if pools is None:
            problems = problems or ["no stable model opens"]
        else:
            problems += [*self._missed(pools), *_late(standing)]
        answers = pools is not None and checks["accepts"]
        return {
            "status": ("degraded" if problems else "ready") if answers else "unavailable",
            "problems": problems,
            "model_loaded": loaded,
            "models": self.shelf.loaded(),
            "checks": checks,
            "pools": {name: {"workers": pool.workers, "seen_at": pool.seen_at} for name, pool in (pools or {}).items()},
            "clock_ahead_s": ahead_s,
        }

    def _ahead_s(self) -> float | None:
        """None when the database does not answer."""
        try:
            return round(self.clock.look(), 1)
        except errors.Unavailable:
            return None

    def _tried(self) -> tuple[bool, list[str]]:
        """Whether a stable model can be asked, and those that this process is to answer itself and that do not open;
        where there are only such as take jobs, their workers open them."""
        try:
            stable = [item for item in self.catalog.versions() if item.stable]
            inline = [item for item in stable if item.manifest.inline]
            closed = [item.model for item in inline if not self._opens(item)]
        except errors.Unavailable:
            return False, []
        return bool(stable) and (not inline or len(closed) < len(inline)), closed

    def _opens(self, item: Version) -> bool:
        try:
            self.shelf.ensure(self.catalog.resolve(item.model, item.version))
        except errors.CoatcheckError:
            return False
        return True

    def _signs(self) -> tuple[Mapping[str, presence.Pool] | None, Sequence[chores.Done]]:
        """Who works, and how the chores stand; None when the database does not answer."""
        try:
            return presence.pools(self.engine), chores.standing(self.engine)
        except database.OUTAGES:
            return None, []

    def _missed(self, pools: Mapping[str, presence.Pool]) -> Iterator[str]:
        """Those without workers that a model is for, or that the platform itself needs."""
        models = [item.manifest for item in self.catalog.versions()]
        wanted = {manifest.pool for manifest in models}
        wanted |= {kinds.EXPLAIN.pool(manifest) for manifest in models if manifest.asked_apart(SHAP)}
        for name, pool in pools.items():
            if not pool.workers and (name in wanted or name not in broker.POOLS):
                yield _absence(name, pool)


def _late(standing: Sequence[chores.Done]) -> Iterator[str]:
    """The chores that fail while others are done."""
    if all(item.late_s > chores.LATE_S for item in standing):
        return
    for item in standing:
        if item.late_s > chores.LATE_S:
            since = f"{item.succeeded_at:%Y-%m-%dT%H:%M:%SZ}"
            yield f"the chore '{item.name}' has not succeeded since {since}; the io worker's log says why"


def _absence(name: str, pool: presence.Pool) -> str:
    since = f"since {pool.seen_at:%Y-%m-%dT%H:%M:%SZ}" if pool.seen_at else "since the tables were made"
    if name == presence.SWEEP:
        return f"nobody has swept {since}: lost and expired jobs are not taken back (beat, io worker)"
    return f"no worker of pool '{name}' has been heard of {since}"
