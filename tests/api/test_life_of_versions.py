"""A version from its push to its end, while eight clients go on asking: nobody is refused, and what each answer says of
itself is true."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.audit import Actor
from inference import bundle
from registry import lifecycle, routing
from tests import callers, factories, graphs
from tests.api.conftest import Server
from tests.conftest import Platform, until

CLIENTS = 8
#: In which a change is known everywhere.
EVERYWHERE_S = 1.0
#: So many answers are looked at of what holds then, and so many standard deviations a share may be off.
ENOUGH, SIGMAS = 500, 4.0
OLD, NEW = "1.0.0", "2.0.0"
PLENTY = {"requests_per_minute": 1_000_000, "requests_burst": 1_000_000, "units_per_minute": 1_000_000,
          "units_burst": 1_000_000}  # fmt: skip
#: What each version says of the same row.
SAYS = {OLD: "a", NEW: "b"}


@dataclass(frozen=True)
class Answer:
    began: float
    status: int
    version: str | None
    why: str | None
    body: dict[str, Any]


@dataclass
class Crowd:
    """Those who ask one model again and again, each with a key and a connection of its own; and what they were told."""

    port: int
    model: str
    answers: list[Answer] = field(default_factory=list)

    def ask(self, connection: http.client.HTTPConnection, headers: dict[str, str], pin: dict[str, str]) -> Answer:
        began = time.monotonic()
        body = json.dumps({"model": self.model, "inputs": {"x": 2, "y": 1}})
        connection.request("POST", "/api/v1/predict", body, {**headers, **pin, "Content-Type": "application/json"})
        found = connection.getresponse()
        told = json.loads(found.read())
        return Answer(began, found.status, found.headers["X-Model-Version"], found.headers["X-Model-Route"], told)

    @contextlib.contextmanager
    def asking(self, keys: list[callers.Key]) -> Iterator[None]:
        ended = threading.Event()

        def go_on(key: callers.Key) -> None:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
                while not ended.is_set():
                    self.answers.append(self.ask(connection, key.headers, {}))

        threads = [threading.Thread(target=go_on, args=(key,)) for key in keys]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def since(self, moment: float) -> list[Answer]:
        return [answer for answer in [*self.answers] if answer.began > moment]

    def told(self) -> list[Answer]:
        """Enough of what holds a second from now."""
        settled = time.monotonic() + EVERYWHERE_S
        until(lambda: len(self.since(settled)) >= ENOUGH, 120)
        return self.since(settled)


@pytest.fixture
def model(platform: Platform, tmp_path: Path) -> Iterator[str]:
    name = factories.unique("life").lower()
    platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / OLD, name=name, version=OLD)))
    yield name
    platform.execute("DELETE FROM models WHERE name = :name", name=name)


def test_from_push_to_retirement_no_request_fails_and_every_answer_says_the_truth_of_itself(
    platform: Platform, server: Server, client: FlaskClient, model: str, tmp_path: Path
) -> None:
    tier = callers.tier(platform, **PLENTY)
    keys = [callers.key(platform, tier=tier) for _ in range(CLIENTS)]
    routes, by = f"/api/v1/admin/routes/{model}", Actor("cli:test")
    crowd = Crowd(server.port, model)

    def route(**changed: object) -> None:
        assert client.patch(routes, json=changed).status_code == 200

    def canary(percent: int) -> None:
        route(canaries=[{"name": "next", "version": NEW, "percent": percent}])
        told = crowd.told()
        assert {(answer.version, answer.why) for answer in told} == {(OLD, "stable"), (NEW, "canary next")}
        share, part = percent / 100, sum(answer.version == NEW for answer in told) / len(told)
        off = (part - share) / (share * (1 - share) / len(told)) ** 0.5
        print(f"{percent} %: {part:.2%} of {len(told)}, {off:+.1f} standard deviations")
        assert abs(off) < SIGMAS

    with crowd.asking(keys):
        assert all_told(crowd) == {(OLD, "stable")}
        graph = graphs.graph("other = Neg (features) probabilities = Softmax <axis = 1> (other)")
        golden = [{"inputs": {"x": 2, "y": 1}, "prediction": SAYS[NEW], "confidence": graphs.CONFIDENCE}]
        folder = graphs.bundle(tmp_path / NEW, graph, name=model, version=NEW, golden=golden)
        platform.catalog.publish(bundle.load(folder))
        assert all_told(crowd) == {(OLD, "stable")}
        canary(10)
        canary(50)
        with platform.engine.begin() as connection:
            routing.end(connection, model, "next", by, promoted=True)
        assert all_told(crowd) == {(NEW, "stable")}
        route(stable=OLD)
        assert all_told(crowd) == {(OLD, "stable")}
        lifecycle.remove(platform.engine, model, NEW)
        assert all_told(crowd) == {(OLD, "stable")}
    assert {answer.status for answer in crowd.answers} == {200}
    for answer in crowd.answers:
        assert answer.body["model_version"] == answer.version
        assert answer.body["prediction"] == SAYS[answer.version]
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as one:
        assert crowd.ask(one, keys[0].headers, {"X-Model-Version": NEW}).status == 410
    print(f"{len(crowd.answers)} answers")


def all_told(crowd: Crowd) -> set[tuple[str | None, str | None]]:
    return {(answer.version, answer.why) for answer in crowd.told()}
