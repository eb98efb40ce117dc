"""Who gets which version of a model: what lies beside its stable version, and what that comes to for one request.

Each rule has a number of its own for each request: a hash of the model, the rule and the request's unit, which is the
request itself or its caller. So every process decides the same, and anybody can say afterwards why: nothing is drawn.
A rule that grows keeps those it has, and who takes part in an experiment stays there whatever canaries do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: All traffic of a model, in the unit in which rules say their share: percent.
ALL = 100.0
_HASHED = 2.0**64


class By(StrEnum):
    """What is decided for: each request anew, or its caller, who then keeps what it got."""

    REQUEST = "request"
    CALLER = "caller"


@dataclass(frozen=True)
class Unit:
    """What a request is known by: its id, and who sends it or on whose behalf."""

    request: str
    caller: str

    def by(self, what: By) -> str:
        return self.caller if what is By.CALLER else self.request


@dataclass(frozen=True)
class Judge:
    """When a canary is worse: more than `tolerance` times as bad as the stable version, where at most so many good ones
    in all (`level`, a share) may be taken for that. One that does not act only says what it sees."""

    tolerance: float = 1.25
    level: float = 0.01
    acts: bool = True


class Then(StrEnum):
    """What becomes of a canary at the end of its ramp."""

    HOLD = "hold"
    PROMOTE = "promote"


@dataclass(frozen=True)
class Ramp:
    """How a canary grows: to each of these shares in turn, after so many `requests` of its own at the one before, once
    what was seen speaks no more for that it is worse than against it."""

    to: tuple[float, ...]
    requests: int = 1000
    then: Then = Then.HOLD

    def after(self, percent: float) -> float | None:
        """The next share; None: there is none."""
        return next((step for step in self.to if step > percent), None)


@dataclass(frozen=True)
class Canary:
    """A version on trial: so many percent of the traffic, and perhaps more as it proves itself."""

    name: str
    version: str
    percent: float
    judge: Judge = Judge()
    ramp: Ramp | None = None

    def taken(self, model: str, unit: str) -> tuple[str, str]:
        """The version, and why."""
        return self.version, f"canary {self.name}"


@dataclass(frozen=True)
class Variant:
    """One side of an experiment; weights of one are shares of their sum."""

    name: str
    version: str
    weight: int


@dataclass(frozen=True)
class Experiment:
    """Versions that are compared: so many percent of the callers, each of whom keeps its variant."""

    name: str
    percent: float
    variants: tuple[Variant, ...]

    def taken(self, model: str, unit: str) -> tuple[str, str]:
        """The version, and why."""
        left = part(model, f"{self.name}/", unit) * sum(variant.weight for variant in self.variants)
        for variant in self.variants:
            left -= variant.weight
            if left < 0:
                break
        return variant.version, f"experiment {self.name}/{variant.name}"


@dataclass(frozen=True)
class Shadow:
    """A version that is asked beside the stable one and answers nobody: of so many percent of the requests."""

    name: str
    version: str
    percent: float

    def takes(self, model: str, request: str) -> bool:
        """Whether it is asked what this request asks."""
        return part(model, f"shadow/{self.name}", request) * ALL < self.percent


@dataclass(frozen=True)
class Routes:
    """What lies beside a model's stable version; aliases are names for versions that callers may pin."""

    by: By = By.REQUEST
    canaries: tuple[Canary, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    shadows: tuple[Shadow, ...] = ()

    def taken(self, model: str, unit: Unit) -> tuple[str, str] | None:
        """The version that a rule gives this unit, and why; None: the stable one."""
        left, mine = ALL, unit.by(self.by)
        rules: tuple[Canary | Experiment, ...] = (*self.experiments, *self.canaries)
        for rule in rules:
            # Of what the rules before have left, so much as makes its share of all.
            if part(model, rule.name, mine) * left < rule.percent:
                return rule.taken(model, mine)
            left -= rule.percent
        return None

    def share(self, canary: Canary) -> float:
        """Which part of what it and the stable version get together is a canary's."""
        rules: tuple[Canary | Experiment, ...] = (*self.canaries, *self.experiments)
        # Each has two digits at most; their sum has more, by how a machine adds.
        stable = round(ALL - sum(rule.percent for rule in rules), 2)
        together = max(0.0, stable) + canary.percent
        return canary.percent / together if together else 0.0

    def versions(self) -> Iterator[tuple[str, str]]:
        """Each that is named, and where."""
        for canary in self.canaries:
            yield f"canary {canary.name}", canary.version
        for experiment in self.experiments:
            for variant in experiment.variants:
                yield f"experiment {experiment.name}/{variant.name}", variant.version
        for shadow in self.shadows:
            yield f"shadow {shadow.name}", shadow.version
        for name, version in self.aliases.items():
            yield f"alias {name}", version


NONE = Routes()


def part(model: str, rule: str, unit: str) -> float:
    """A number from 0 to 1, and never 1, that looks drawn and is always the same: the first eight bytes of BLAKE2b
    (RFC 7693) of `model NUL rule NUL unit` in UTF-8, as a fraction."""
    digest = hashlib.blake2b(f"{model}\0{rule}\0{unit}".encode(), digest_size=8).digest()
    # What is nearest to 1 would be rounded to it.
    return min(int.from_bytes(digest, "big") / _HASHED, 1 - 2.0**-53)
