"""What the cache of answers costs where it never helps, and what it saves where it does: one model in this process, by
turns with and without, every input new or every one the same."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import track

from access import keys, tiers
from benchmarks import bed
from benchmarks.hot_path import PLENTY
from inference.output import Said
from registry.versions import Resolved
from serving import cached, inputs, predict
from serving.cache import Cache
from serving.serving import Serving
from serving.values import Ask, Preference

TURNS, EACH = 21, 400
ROOM, FOR_S = 64 << 20, 3600
#: Longer than most that people ask about.
TEXT = "I love this product, it works perfectly! " * 10


class Patient:
    """Waits for nothing."""

    def begin(self) -> bool:
        return False

    def look_again(self) -> None: ...


def run() -> None:
    with bed.made() as found:
        engine = found.parts.engine
        tiers.create(engine, "plenty", like="internal", given=PLENTY)
        made = keys.create(engine, tenant="bench", name="bench", scopes=keys.CLIENT, tier="plenty")
        key = keys.Keyring(engine).verify(made)
        without = found.parts.serving
        with_ = dataclasses.replace(without, cache=Cache(ROOM, FOR_S))
        numbers = itertools.count()

        def new() -> str:
            return f"{TEXT}{next(numbers)}"

        ways: dict[str, Callable[[], object]] = {
            "without": functools.partial(_ask, without, key, new),
            "miss": functools.partial(_ask, with_, key, new),
            "hit": functools.partial(_ask, with_, key, lambda: TEXT),
        }
        took: dict[str, list[float]] = {name: [] for name in ways}
        for turn in track(range(TURNS), "by turns", console=Console(stderr=True)):
            for name in [*ways] if turn % 2 else [*ways][::-1]:
                took[name].append(_middle(ways[name]))
        alone_us = _alone(with_, key)
        found.parts.close()
    middle = {name: statistics.median(times) * 1e6 for name, times in took.items()}
    ratios = [miss / off for miss, off in zip(took["miss"], took["without"], strict=True)]
    print(f"a prediction of sentiment 1.0.0, without HTTP; {TURNS} turns of {EACH}, the middle of each")
    for name, us in middle.items():
        print(f"  {name:8} {us:8.1f} us")
    print(f"  a miss takes {statistics.median(ratios):.4f} of without (of each turn: {_spread(ratios)})")
    print(f"  the look and the keeping alone: {alone_us:.1f} us")


def _ask(serving: Serving, caller: keys.Caller, text: Callable[[], str]) -> object:
    ask = Ask(caller, "bench", "sentiment", cache=True)
    return predict.one(serving, ask, {"text": text()}, explain=(), wants=Preference(), patience=Patient())


def _middle(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(EACH):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _alone(serving: Serving, caller: keys.Caller) -> float:
    """Of a miss, what is not the model's, in microseconds."""
    ask = Ask(caller, "bench", "sentiment", cache=True)
    resolved: Resolved = serving.catalog.resolve(ask.model, None, ask.unit)
    row = inputs.one(resolved.manifest, {"text": TEXT})
    said: Said = serving.shelf.predictor(resolved).predict([row])[0]

    def look() -> Any:
        new = {**row, "text": f"{TEXT}{uuid.uuid4()}"}
        return cached.Cached(serving, ask, resolved, "").one(new, lambda: said)

    return _middle(look) * 1e6


def _spread(ratios: list[float]) -> str:
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"half of them {low:.3f} to {high:.3f}"
