"""How batches of one worker process follow each other: what is claimed while another one runs, and what is not."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

import models
from jobs import drain
from jobs.attempt import Attempts
from jobs.drain import Drainer
from jobs.lease import Held
from jobs.outcome import Outcome
from tests import factories
from tests.conftest import Platform
from tests.engines import until
from tests.hands import SAID

pytestmark = pytest.mark.usefixtures("quiet")
Wait = Callable[..., None]


@dataclass(frozen=True)
class Watched(Attempts):
    """Every job is answered at once, once `during` has looked at what is going on."""

    during: Callable[[Sequence[Held]], object]

    def run(self, held: Sequence[Held]) -> list[Outcome]:
        self.during(held)
        return [Outcome(item, SAID, units=1) for item in held]


@pytest.fixture
def wait(platform: Platform) -> Iterator[Wait]:
    """Jobs that wait, of models that take two at once, each by its letter."""
    tenant, names = factories.tenant(platform), {}

    def add(letters: str, **given: Any) -> None:
        for letter in letters:
            if letter not in names:
                names[letter] = factories.add(platform, models.Model)["name"]
                factories.add(platform, models.ModelVersion, model=names[letter], max_batch=2)
            model = names[letter]
            factories.job(platform, tenant, model=model, lane=f"cpu/predict/{model}/1.0.0", **given)

    yield add
    for name in names.values():
        platform.execute("DELETE FROM models WHERE name = :name", name=name)


def of_status(platform: Platform, status: str) -> set[UUID]:
    return {row[0] for row in platform.rows("SELECT id FROM jobs WHERE status = :status", status=status)}


def watching(platform: Platform, drainer: Drainer, during: Callable[[int, Sequence[Held]], object]) -> Drainer:
    """During each run, the first being 1, it is looked at what is there once nobody is claiming any more."""
    count = 0

    def look(held: Sequence[Held]) -> None:
        nonlocal count
        count += 1
        drainer.claimer.submit(lambda: None).result()
        during(count, held)

    return dataclasses.replace(drainer, attempts=Watched(drainer.attempts.tools, look))


def left_waiting(platform: Platform, drainer: Drainer) -> list[int]:
    """How many jobs wait still during each run."""
    left: list[int] = []
    watching(platform, drainer, lambda *_: left.append(len(of_status(platform, "pending")))).drain("cpu", "wake")
    return left


def test_behind_a_quick_batch_the_next_is_claimed_while_one_of_the_same_version_runs(
    platform: Platform, drainer: Drainer, wait: Wait
) -> None:
    wait("aaaaaaa")
    # How quick the first one is, nobody knows before it has run.
    assert left_waiting(platform, drainer) == [5, 1, 0, 0]
    assert len(of_status(platform, "completed")) == 7


def test_behind_a_slow_batch_nothing_is_claimed_that_another_worker_could_have(
    platform: Platform, drainer: Drainer, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "AHEAD_S", 0.0)
    wait("aaaaaa")
    assert left_waiting(platform, drainer) == [4, 2, 0]


def test_how_long_another_version_takes_says_nothing(platform: Platform, drainer: Drainer, wait: Wait) -> None:
    wait("aabbaa")
    assert left_waiting(platform, drainer) == [4, 2, 0]


def test_a_job_that_has_lost_a_worker_runs_while_its_worker_holds_no_other(
    platform: Platform, drainer: Drainer, wait: Wait
) -> None:
    wait("aa")
    wait("aa", lost_count=1)
    assert left_waiting(platform, drainer) == [2, 1, 0]


def test_once_the_slice_is_over_nothing_is_claimed_ahead(
    platform: Platform, drainer: Drainer, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "AHEAD_S", 60.0)
    wait("aaaaaa")
    left: list[int] = []

    def during(*_: object) -> None:
        left.append(len(of_status(platform, "pending")))
        until(lambda: time.monotonic() > ends_at, 10)

    drainer = dataclasses.replace(drainer, slice_s=1.0)
    ends_at = time.monotonic() + 2
    assert watching(platform, drainer, during).drain("cpu", "wake") == 4
    assert left == [4, 2]


def test_what_is_claimed_ahead_is_renewed_from_the_beginning(platform: Platform, drainer: Drainer, wait: Wait) -> None:
    wait("aaaaaa")
    renewed: list[bool] = []

    def during(run: int, held: Sequence[Held]) -> None:
        if run == 2:
            running = {item.job.id for item in held}
            platform.execute("UPDATE jobs SET lease_expires_at = now() WHERE status = 'processing'")
            drainer.leases.beat()
            rows = platform.rows("SELECT id FROM jobs WHERE lease_expires_at > now()")
            renewed.extend(row[0] not in running for row in rows)

    watching(platform, drainer, during).drain("cpu", "wake")
    assert renewed.count(True) >= 2


def test_what_was_claimed_ahead_of_a_run_that_breaks_off_is_given_back(
    platform: Platform, drainer: Drainer, wait: Wait
) -> None:
    wait("aaaaaaaa")
    broken: set[UUID] = set()

    def during(run: int, held: Sequence[Held]) -> None:
        if run == 2:
            broken.update(item.job.id for item in held)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watching(platform, drainer, during).drain("cpu", "wake")
    until(lambda: len(of_status(platform, "completed")) == 2, 10)
    assert of_status(platform, "processing") == broken
    assert platform.rows("SELECT count(*), max_attempts - attempt FROM jobs WHERE status = 'pending' GROUP BY 2") == [
        (4, 4)
    ]
    assert not drainer.leases._held
