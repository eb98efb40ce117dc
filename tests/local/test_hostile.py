"""The real front door under sixty-four hostile connections of each sort. How fast it stays: `./run bench hostile`."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from access import keys
from benchmarks import hostile
from core import ids
from local import platform_processes, state
from local.child import Child
from tests.conftest import ROOT, Engines, Platform, until


@dataclass(frozen=True)
class Front:
    port: int
    alice: str
    bob: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def front(platform: Platform, throwaway: Engines) -> Iterator[Front]:
    made = state.load(throwaway.folder / ".coatcheck")
    port = made.ports["api"] = state.free_port(made.ports.values())
    programs = platform_processes.door(made, {**throwaway.env, "FLOWER_BASIC_AUTH": "a:b"})
    children = [Child(program, throwaway.folder / f"front-{program.name}.log", ROOT) for program in programs]
    alice, bob = (
        keys.create(platform.engine, tenant=name, name="t", scopes=keys.CLIENT, tier="pro") for name in ("alice", "bob")
    )
    until(lambda: platform_processes.answers(f"http://127.0.0.1:{port}/ready"))
    yield Front(port, alice, bob)
    for child in children:
        child.stop()


@pytest.mark.parametrize("sort", hostile.SORTS, ids=lambda sort: sort.name)
def test_everybody_else_is_answered(sort: hostile.Sort, front: Front, platform: Platform, quiet: None) -> None:
    with urllib.request.urlopen(hostile.submit(front.url, front.alice)) as answer:
        job = hostile.job_of(answer.read())
    assert ids.parse_job_id(job)
    with (
        hostile.Attack(sort, front.port, front.alice, job) as attack,
        hostile.asking(lambda: urllib.request.Request(f"{front.url}/healthz"), 0.05, 60.0) as health,
        hostile.asking(lambda: hostile.predict(front.url, front.bob), 0.05, 60.0) as bob,
    ):
        until(lambda: attack.opened >= sort.connections and len(health.seconds) >= 20 and len(bob.seconds) >= 20)
    assert (health.failed, bob.failed) == (0, 0)
