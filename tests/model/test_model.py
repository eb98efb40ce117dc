"""What a random test meets by chance is met here for certain: every order of moves, with so many faults."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.conftest import Platform
from tests.model.explore import Found, explore
from tests.model.sabotages import BESIDES, SABOTAGES
from tests.model.tables import BULK, Tables, World

Explore = Callable[[World, int], Found]

#: Each world with as many faults as the suite has time for. MODEL_FAULTS=3 asks for as many in all of them, and leaves
#: nothing out: that takes hours.
WORLDS = {
    "one job": (World(("job 1",)), 2),
    "two jobs": (World(), 0),
    "a bulk job": (World((BULK,)), 0),
    "a bulk job of one attempt": (World((BULK,), max_attempts=1, cancels=False), 1),
    "a bulk job that fails fast": (World((BULK,), fail_fast=True, cancels=False), 0),
}
ASKED = os.environ.get("MODEL_FAULTS")


@pytest.fixture
def explored(platform: Platform, quiet: None) -> Iterator[Explore]:
    """Explore a world, in a database where jobs may be written down in the middle of their lives."""
    caller, _ = platform.new_tenant()
    engine = platform.engine.execution_options(isolation_level="AUTOCOMMIT")

    def run(world: World, faults: int) -> Found:
        with engine.connect() as connection:
            connection.detach()  # nobody else is to have what was prepared in it
            return explore(Tables(connection, caller, platform.settings, world), faults)

    platform.execute("ALTER TABLE jobs DISABLE TRIGGER jobs_birth")
    yield run
    platform.execute("ALTER TABLE jobs ENABLE TRIGGER jobs_birth")


@pytest.mark.timeout(0 if ASKED else 1200)
@pytest.mark.parametrize("name", WORLDS)
def test_no_order_of_moves_breaks_a_promise(explored: Explore, name: str) -> None:
    world, faults = WORLDS[name]
    if ASKED:
        world, faults = replace(world, cancels=True), int(ASKED)
    found = explored(world, faults)
    print(found)
    assert not found.breach, str(found)


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_broken_core_is_found_with_the_history_that_shows_it(
    platform: Platform, explored: Explore, name: str
) -> None:
    sabotage = SABOTAGES[name]
    with ExitStack() as stack:
        for broken in filter(None, (name, BESIDES.get(name))):
            stack.enter_context(SABOTAGES[broken].change.changed(platform.admin))
        found = explored(sabotage.world, sabotage.faults)
    print(found)
    assert sabotage.said in found.breach, str(found)
