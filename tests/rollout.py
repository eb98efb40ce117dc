"""A version on its way from push to retirement while clients go on asking: what each answer said of itself, held
against the routes that were in force."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy
import urllib3

from core import audit
from core.audit import Actor
from inference import bundle
from registry import lifecycle, routing
from registry.catalog import Catalog
from registry.routes import NONE, Canary, Routes, Unit
from tests import graphs
from tests.engines import until

CLIENTS = 8
#: A change holds everywhere after so long.
SOON_S = 1.0
OLD, NEW, NAME = "1.0.0", "2.0.0", "next"
ME = Actor("cli:rollout", None)
BODY = {"x": 2, "y": 1}


@dataclass(frozen=True)
class Seen:
    """One request; `said` is version and route as the headers have them, `body` the version in the body."""

    unit: str
    sent_at: float
    told_at: float
    status: int
    said: tuple[str, str] = ("", "")
    body: str = ""
    error: str = ""


@dataclass(frozen=True)
class State:
    """Who was to be answered by which version; it may have been seen from `begun_at` on, and `known_at` the change was
    made."""

    name: str
    stable: str
    routes: Routes
    begun_at: float
    known_at: float

    def says(self, model: str, unit: str) -> tuple[str, str]:
        """Version and route of this request."""
        return self.routes.taken(model, Unit(unit, unit)) or (self.stable, "stable")

    @property
    def percent(self) -> float:
        """The share that the new version has."""
        return self.routes.canaries[0].percent if self.routes.canaries else 100.0 * (self.stable == NEW)


@dataclass
class Traffic:
    """What all clients saw until now."""

    model: str
    seen: list[Seen] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def since(self, moment: float, already: int) -> int:
        """How many were asked after that moment, of those that came after the first `already`."""
        return sum(item.sent_at >= moment for item in self.seen[already:])


@dataclass(frozen=True)
class Step:
    """A state, and the answers that were asked for once it held everywhere; `late_s` is how long after the change an
    earlier one was still followed."""

    state: State
    answers: int
    new: int
    late_s: float

    @property
    def sigmas(self) -> float:
        """How far the new version's share is from what it should be; nothing is allowed where all or none is its."""
        share = self.state.percent / 100
        off, deviation = abs(self.new - self.answers * share), math.sqrt(self.answers * share * (1 - share))
        return off / deviation if deviation else (0.0 if off == 0 else math.inf)


@dataclass(frozen=True)
class Report:
    steps: Sequence[Step]
    seen: Sequence[Seen]
    untrue: Sequence[str]

    @property
    def failed(self) -> Sequence[Seen]:
        return [item for item in self.seen if item.status != 200]


def publish(catalog: Catalog, folder: Path, model: str, version: str) -> None:
    catalog.publish(bundle.load(graphs.bundle(folder / version, name=model, version=version)))


@contextlib.contextmanager
def traffic(urls: Sequence[str], key: str, model: str) -> Iterator[Traffic]:
    """Eight clients, each of which asks again as soon as it is answered."""
    found = Traffic(model)
    clients = [threading.Thread(target=_ask, args=(found, urls, key, number)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield found
    finally:
        found.stop.set()
        for client in clients:
            client.join()


def _ask(found: Traffic, urls: Sequence[str], key: str, number: int) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data, turn = json.dumps({"model": found.model, "inputs": BODY}), 0
    with urllib3.PoolManager(maxsize=len(urls), timeout=30, retries=False) as http:
        while not found.stop.is_set():
            unit, turn = f"req_{found.model}_{number}_{turn}", turn + 1
            url, sent_at = f"{urls[turn % len(urls)]}/api/v1/predict", time.monotonic()
            try:
                answer = http.request("POST", url, body=data, headers={**headers, "X-Request-ID": unit})
            except urllib3.exceptions.HTTPError as error:
                found.seen.append(Seen(unit, sent_at, time.monotonic(), 0, error=str(error)))
                continue
            told_at, said = time.monotonic(), answer.headers
            if answer.status != 200:
                found.seen.append(Seen(unit, sent_at, told_at, answer.status, error=answer.data.decode()))
                continue
            headed = (said.get("X-Model-Version", ""), said.get("X-Model-Route", ""))
            found.seen.append(Seen(unit, sent_at, told_at, 200, headed, answer.json()["model_version"]))


@dataclass
class Rollout:
    """Makes the changes as an operator does, and waits at each until so many answers have come by it."""

    engine: sqlalchemy.Engine
    catalog: Catalog
    traffic: Traffic
    folder: Path
    answers: int
    soon_s: float = SOON_S
    states: list[State] = field(default_factory=list)

    def run(self) -> None:
        model, engine = self.traffic.model, self.engine
        self.step("one version", OLD, 0, lambda: None)
        self.step("new version pushed", OLD, 0, lambda: publish(self.catalog, self.folder, model, NEW))
        for percent in (10, 50):
            self.step(f"canary {percent} %", OLD, percent, lambda: self.canary(percent))  # noqa: B023 - called at once
        self.step("promoted", NEW, 0, self.promote)
        self.step("rolled back", OLD, 0, lambda: lifecycle.make_stable(engine, model, OLD, ME))
        self.step("loser retired", OLD, 0, self.retire)

    def step(self, name: str, stable: str, percent: float, change: Callable[[], object]) -> None:
        begun_at = time.monotonic()
        change()
        known_at, already = time.monotonic(), len(self.traffic.seen)
        routes = Routes(canaries=(Canary(NAME, NEW, percent),)) if percent else NONE
        self.states.append(State(name, stable, routes, begun_at, known_at))
        until(lambda: self.traffic.since(known_at + self.soon_s, already) >= self.answers)

    def canary(self, percent: float) -> None:
        self._change({"canaries": [{"name": NAME, "version": NEW, "percent": percent}]})

    def _change(self, raw: Mapping[str, Any]) -> None:
        with self.engine.begin() as connection:
            routing.change(connection, self.traffic.model, raw, ME)

    def promote(self) -> None:
        with self.engine.begin() as connection:
            routing.end(connection, self.traffic.model, NAME, ME, promoted=True)

    def retire(self) -> None:
        lifecycle.deprecate(self.engine, self.traffic.model, NEW, audit.operator(), message=None, sunset_at=None)
        lifecycle.remove(self.engine, self.traffic.model, NEW, audit.operator())


def report(found: Rollout) -> Report:
    """Holds every answer against the states that were in force between its question and it."""
    model, seen = found.traffic.model, [*found.traffic.seen]
    ends = [state.known_at + found.soon_s for state in found.states[1:]] + [math.inf]
    untrue: list[str] = []
    for item in seen:
        if item.status != 200:
            continue
        between = zip(found.states, ends, strict=True)
        allowed = {
            state.says(model, item.unit) for state, end in between if state.begun_at <= item.told_at
            and item.sent_at <= end
        }  # fmt: skip
        if item.said not in allowed or item.body != item.said[0]:
            untrue.append(f"{item.unit}: headers {item.said}, body {item.body}, in force {sorted(allowed)}")
    return Report([_step(found, number, ends[number]) for number in range(len(found.states))], seen, untrue)


def _step(found: Rollout, number: int, end: float) -> Step:
    state, model = found.states[number], found.traffic.model
    starts_at = state.known_at + found.soon_s
    until_at = found.states[number + 1].begun_at if number + 1 < len(found.states) else end
    good = [item for item in found.traffic.seen if item.status == 200]
    own = [item for item in good if item.sent_at >= starts_at and item.told_at < until_at]
    late = [item.sent_at for item in good if state.known_at < item.sent_at and item.told_at < until_at
            and item.said != state.says(model, item.unit)]  # fmt: skip
    counts = Counter(item.said[0] for item in own)
    return Step(state, len(own), counts[NEW], max(late) - state.known_at if late else 0.0)
