"""A canary's trial: what counts of what was seen, and what it comes to."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import errors
from registry.judging.evidence import Evidence
from registry.routes import By, Judge, Unit

#: What is the version's own fault, and no caller's. A number that is not finite is a MODEL_ERROR; and a version whose
#: bundle is damaged or gone answers nobody.
FAULTS = frozenset({errors.ModelError.code, errors.TimedOut.code, "WORKER_LOST", errors.BundleInvalid.code})
ERRORS, SLOW = "errors", "slow"
#: The route of who gets the stable version because nothing else says otherwise.
STABLE = "stable"
METRICS = (ERRORS, SLOW)
#: Of so many of the stable version's own runs, this one by length is where `slow` begins.
CALIBRATION, NEAR_LONGEST = 500, 475
#: Changed shares hold everywhere and are committed by then; what was asked before counts for neither.
SETTLES = dt.timedelta(seconds=2)


def worst(codes: Sequence[str]) -> str | None:
    """Of what failed in one answer, what the version is to blame for, where there is any; else the first."""
    return next((code for code in codes if code in FAULTS), codes[0] if codes else None)


@dataclass(frozen=True)
class Seen:
    """A request that a model answered, or failed to: why it was that version, and when it was asked."""

    route: str
    unit: Unit
    asked_at: dt.datetime
    run_s: float | None = None  #: in the model, where such times can be compared
    code: str | None = None  #: of its error


@dataclass(frozen=True)
class Bad:
    """A bad event."""

    metric: str
    unit: bytes
    canary: bool
    at: dt.datetime


@dataclass(frozen=True)
class Sums:
    """What was seen until now; `step` is how many of the canary's requests since its share changed."""

    canary: int = 0
    stable: int = 0
    step: int = 0
    metrics: Mapping[str, Evidence] = field(default_factory=lambda: dict.fromkeys(METRICS, Evidence()))
    first_at: str | None = None
    last_at: str | None = None
    slow_s: float | None = None
    sample: Sequence[float] = ()

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Sums:
        if not stored:
            return cls()
        return cls(**{**stored, "metrics": {name: Evidence(**item) for name, item in stored["metrics"].items()}})


@dataclass(frozen=True)
class Trial:
    """Of one canary, under the rules and the share that hold now."""

    model: str
    name: str
    share: float
    share_since: dt.datetime
    judge: Judge
    by: By
    sums: Sums

    def counting(self, seen: Iterable[Seen]) -> list[Seen]:
        """Those that are its own or the stable version's, chosen by the share of now."""
        routes = (STABLE, f"canary {self.name}")
        return [item for item in seen if item.route in routes and item.asked_at > self.share_since + SETTLES]

    def bad(self, seen: Iterable[Seen]) -> list[Bad]:
        """What was bad of them, in their order."""
        slow_s, found = self.sums.slow_s, []
        for item in seen:
            unit, canary = _hashed(item.unit.by(self.by)), item.route != STABLE
            if item.code in FAULTS:
                found.append(Bad(ERRORS, unit, canary, item.asked_at))
            if slow_s is not None and item.run_s is not None and item.run_s > slow_s:
                found.append(Bad(SLOW, unit, canary, item.asked_at))
        return found

    def after(self, seen: Sequence[Seen], bad: Sequence[Bad]) -> Trial:
        """With these requests, and what was bad of them and counts."""
        mine = sum(item.route != STABLE for item in seen)
        sums, metrics = self.sums, dict(self.sums.metrics)
        if 0 < self.share < 1:
            how = {"share": self.share, "tolerance": self.judge.tolerance}
            for item in bad:
                metrics[item.metric] = metrics[item.metric].with_bad(canary=item.canary, **how)
        moments = [item.at.isoformat() for item in bad]
        sums = dataclasses.replace(
            sums,
            canary=sums.canary + mine,
            stable=sums.stable + len(seen) - mine,
            step=sums.step + mine,
            metrics=metrics,
            first_at=sums.first_at or min(moments, default=None),
            last_at=max(moments, default=sums.last_at),
        )
        return dataclasses.replace(self, sums=_calibrated(sums, seen))

    @property
    def worse(self) -> bool:
        """Whether the canary is."""
        return any(item.log_e >= math.log(self.threshold) for item in self.sums.metrics.values())

    @property
    def leans_worse(self) -> bool:
        """Whether what was seen speaks more for that than against it."""
        return any(item.log_e > 0 for item in self.sums.metrics.values())

    @property
    def threshold(self) -> float:
        """What `e` has to come to: each metric has its part of the level."""
        return len(METRICS) / self.judge.level

    def told(self) -> dict[str, Any]:
        """The evidence, in words that anybody can check."""
        sums = self.sums
        return {
            "share": self.share, "tolerance": self.judge.tolerance, "level": self.judge.level,
            "threshold": self.threshold, "exposed": {"canary": sums.canary, "stable": sums.stable},
            "metrics": {name: self._metric(item) for name, item in sums.metrics.items()},
            "slow_s": sums.slow_s, "first_at": sums.first_at, "last_at": sums.last_at,
        }  # fmt: skip

    def _metric(self, found: Evidence) -> dict[str, Any]:
        needs = found.needs(
            self.sums.canary + self.sums.stable,
            share=self.share,
            tolerance=self.judge.tolerance,
            level=1 / self.threshold,
        )
        e = float(f"{math.exp(min(found.log_e, 700)):.4g}")
        return {"canary": found.canary, "stable": found.stable, "e": e, "needs": needs}


def _calibrated(sums: Sums, seen: Sequence[Seen]) -> Sums:
    """Where `slow` begins is found once, from what the stable version takes, and stays."""
    if sums.slow_s is not None:
        return sums
    more = [item.run_s for item in seen if item.route == STABLE and item.run_s is not None and item.code is None]
    sample = [*sums.sample, *more][:CALIBRATION]
    if len(sample) < CALIBRATION:
        return dataclasses.replace(sums, sample=sample)
    return dataclasses.replace(sums, slow_s=sorted(sample)[NEAR_LONGEST - 1], sample=())


def _hashed(unit: str) -> bytes:
    return hashlib.blake2b(unit.encode(), digest_size=8).digest()
