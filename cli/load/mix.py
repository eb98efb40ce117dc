"""What a load is made of, and when each part of it is due."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import click

#: Out of a hundred arrivals. `poll` and `stream` are jobs, by how their ends are learned.
DEFAULT = {
    "inline": 50.0, "batch": 10.0, "poll": 15.0, "stream": 8.0, "file": 2.0, "burst": 5.0, "hostile": 10.0,
}  # fmt: skip
#: So many inline predictions arrive at one moment.
BURST = 10


@dataclass(frozen=True)
class Arrival:
    """A request, and when it is due, in seconds from the beginning."""

    kind: str
    due_s: float


class Mix(click.ParamType[dict[str, float]]):
    """`inline=50,hostile=10`: weights by kind; a kind that is not named is left out."""

    name = "KIND=WEIGHT,…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        found: dict[str, float] = {}
        for part in str(value).split(","):
            kind, _, text = part.strip().partition("=")
            if kind not in DEFAULT or kind in found:
                self.fail(f"{kind!r} must be one of {', '.join(DEFAULT)}, and once", param, ctx)
            if not text.isdecimal() or len(text) > 6:
                self.fail(f"the weight of {kind} must be a whole number from 0 to 999999", param, ctx)
            found[kind] = float(text)
        if not any(found.values()):
            self.fail("at least one weight must be above 0", param, ctx)
        return found


def arrivals(mix: Mapping[str, float], rate: float, seconds: float, chance: random.Random) -> Iterator[Arrival]:
    """So many requests a second on average, each when chance has it (Poisson), whatever became of those before."""
    kinds, weights = list(mix), list(mix.values())
    bursts = mix.get("burst", 0.0) / sum(weights)
    per_s = rate / (1 + bursts * (BURST - 1))
    due_s = chance.expovariate(per_s)
    while due_s < seconds:
        [kind] = chance.choices(kinds, weights)
        if kind == "burst":
            yield from [Arrival("inline", due_s)] * BURST
        else:
            yield Arrival(kind, due_s)
        due_s += chance.expovariate(per_s)
