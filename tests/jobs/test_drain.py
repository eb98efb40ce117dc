"""How batches of one worker process follow each other: what is claimed while another one runs, and what is not."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy
from sqlalchemy import exc

import models
from core import broker, metrics
from jobs import claim, drain, settle
from jobs.attempt import Attempts
from jobs.drain import Drainer
from jobs.finish import Finisher
from jobs.job import Claimed
from jobs.lease import Held
from jobs.outcome import Outcome
from tests import factories
from tests.conftest import Platform
from tests.engines import until
from tests.hands import SAID

pytestmark = pytest.mark.usefixtures("quiet")
Wait = Callable[..., None]
Watching = Callable[..., Drainer]
Left = Callable[[], list[int]]


@dataclass(frozen=True)
class Watched(Attempts):
    """Every job is answered at once, once `during` has looked at what is going on."""

    during: Callable[[Sequence[Held]], object]

    def run(self, held: Sequence[Held]) -> list[Outcome]:
        self.during(held)
        return [Outcome(item, SAID, units=1) for item in held]


class Claimer(ThreadPoolExecutor):
    """One that counts what it is asked to do."""

    def __init__(self) -> None:
        super().__init__(1, "claimer")
        self.asked = 0

    def submit(self, *what: Any, **more: Any) -> Future[Any]:
        self.asked += 1
        return super().submit(*what, **more)


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[claim.Batch | None]:
    """What was claimed ahead. However long something takes on this machine, it is quick."""
    claimed: list[claim.Batch | None] = []
    real = claim.claim

    def noted(*arguments: Any, ahead: bool, **named: Any) -> claim.Batch | None:
        found = real(*arguments, ahead=ahead, **named)
        if ahead:
            claimed.append(found)
        return found

    monkeypatch.setattr(claim, "claim", noted)
    monkeypatch.setattr(drain, "AHEAD_S", 60.0)
    return claimed


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


def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first claim ahead on nothing is kept for long."""
    noted = claim.claim

    def then(*arguments: Any, ahead: bool, **named: Any) -> claim.Batch | None:
        found = noted(*arguments, ahead=ahead, **named)
        if ahead:
            monkeypatch.setattr(drain, "AHEAD_S", 0.5)
        return found

    monkeypatch.setattr(claim, "claim", then)


def of_status(platform: Platform, status: str) -> set[UUID]:
    return {row[0] for row in platform.rows("SELECT id FROM jobs WHERE status = :status", status=status)}


@pytest.fixture
def watching(drainer: Drainer, ahead: list[claim.Batch | None]) -> Watching:
    """A worker; during each of its runs, the first being 1, it is looked at what is there once nobody is claiming."""

    def made(during: Callable[[int, Sequence[Held]], object], **changed: Any) -> Drainer:
        runs = itertools.count(1)
        claimer = Claimer()

        def look(held: Sequence[Held]) -> None:
            # The first was to start its thread.
            until(lambda: len(ahead) == claimer.asked - 1)
            during(next(runs), held)

        watched = Watched(drainer.attempts.tools, look)
        return dataclasses.replace(drainer, attempts=watched, claimer=claimer, **changed)

    return made


@pytest.fixture
def left(platform: Platform, watching: Watching) -> Callable[[], list[int]]:
    """Drains; how many jobs wait still during each run."""

    def drained() -> list[int]:
        found: list[int] = []
        watching(lambda *_: found.append(len(of_status(platform, "pending")))).drain("cpu", "wake")
        return found

    return drained


def test_behind_a_quick_batch_the_next_is_claimed_while_one_of_the_same_version_runs(
    platform: Platform, wait: Wait, left: Left
) -> None:
    wait("aaaaaaa")
    # How quick the first one is, nobody knows before it has run.
    assert left() == [5, 1, 0, 0]
    assert len(of_status(platform, "completed")) == 7


def test_behind_a_slow_batch_nothing_is_claimed_that_another_worker_could_have(
    wait: Wait, left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "AHEAD_S", 0.0)
    wait("aaaaaa")
    assert left() == [4, 2, 0]


def test_how_long_another_version_takes_says_nothing(wait: Wait, left: Left) -> None:
    wait("aabbaa")
    assert left() == [4, 2, 0]


def test_what_is_claimed_ahead_may_be_of_another_version(wait: Wait, left: Left) -> None:
    wait("aaaabb")
    assert left() == [4, 0, 0]


def test_while_a_job_runs_that_has_lost_a_worker_its_worker_holds_no_other(wait: Wait, left: Left) -> None:
    wait("aa")
    wait("a", lost_count=1)
    wait("aa")
    assert left() == [3, 2, 0]


def test_a_job_that_has_lost_a_worker_is_not_claimed_while_others_run_that_may_take_it_along(
    wait: Wait, left: Left
) -> None:
    wait("aaaa")
    wait("a", lost_count=1)
    wait("aa")
    assert left() == [5, 3, 2, 0]


def test_a_job_on_its_last_attempt_is_not_claimed_while_others_run_that_may_take_it_along(
    wait: Wait, left: Left
) -> None:
    wait("aaaa")
    wait("a", attempt=3)
    wait("a", attempt=2)
    wait("a", attempt=3)
    # The last one is passed over where it is not the head, until it is.
    assert left() == [5, 3, 1, 0]


def test_what_is_no_batch_is_not_claimed_while_another_runs(wait: Wait, left: Left) -> None:
    wait("aaaa")
    wait("a", batches=False)
    assert left() == [3, 1, 0]


def test_once_the_slice_is_over_nothing_is_claimed_ahead(platform: Platform, watching: Watching, wait: Wait) -> None:
    wait("aaaaaa")
    found: list[int] = []

    def during(*_: object) -> None:
        found.append(len(of_status(platform, "pending")))
        until(lambda: time.monotonic() > ends_at)

    ends_at = time.monotonic() + 12
    assert watching(during, slice_s=10.0).drain("cpu", "wake") == 4
    assert found == [4, 2]


def test_what_is_claimed_ahead_is_renewed_from_the_beginning(
    platform: Platform, drainer: Drainer, watching: Watching, wait: Wait, ahead: list[claim.Batch | None]
) -> None:
    wait("aaaaaa")
    renewed: list[bool] = []

    def during(run: int, _: Sequence[Held]) -> None:
        if run == 2:
            platform.execute("UPDATE jobs SET lease_expires_at = now() WHERE status = 'processing'")
            drainer.leases.beat()
            rows = {row[0] for row in platform.rows("SELECT id FROM jobs WHERE lease_expires_at > now()")}
            renewed.extend(job.id in rows for batch in ahead if batch for job in batch.jobs)

    watching(during).drain("cpu", "wake")
    assert renewed == [True, True]


def given_back(platform: Platform, drainer: Drainer, running: set[UUID]) -> bool:
    """Whether only what runs is held, and all the others wait, for as many attempts as before."""
    others = "SELECT DISTINCT max_attempts - attempt FROM jobs WHERE status = 'pending'"
    return of_status(platform, "processing") == set(drainer.leases._held) == running and platform.rows(others) == [(4,)]


@pytest.mark.parametrize("notifies", [False, True])
def test_what_waits_behind_a_run_that_takes_longer_than_the_last_one_is_given_back_and_others_are_told(
    platform: Platform, drainer: Drainer, watching: Watching, wait: Wait, ahead: list[claim.Batch | None],
    monkeypatch: pytest.MonkeyPatch, notifies: bool,
) -> None:  # fmt: skip
    wait("aaaaaa", **({"webhook_url": "https://receiver.example/hook", "webhook_events": []} if notifies else {}))
    seen: list[bool] = []
    sent: list[str] = []
    hints: Any = SimpleNamespace(send=sent.append, clear=len)

    def during(run: int, held: Sequence[Held]) -> None:
        if run == 2:
            assert [len(batch.jobs) for batch in ahead if batch] == [2]
            running = {item.job.id for item in held}
            until(lambda: given_back(platform, drainer, running))
            counted = metrics.ATTEMPTS.labels(held[0].job.model, "given_back")
            seen.append(counted._value.get() == 2)

    briefly(monkeypatch)
    assert watching(during, hints=hints).drain("cpu", "wake") == 6
    assert seen == [True]
    # Of each of three full batches, and of what was given back, which may have ended by it.
    assert sorted(sent) == ["cpu"] * 4 + [broker.WEBHOOKS] * notifies
    # Once is enough.
    assert len(ahead) == 1


def test_what_is_given_back_while_the_database_is_away_is_kept_until_it_is_there(
    platform: Platform, drainer: Drainer, watching: Watching, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait("aaaaaa")
    real = settle.give_back
    failed: list[bool] = []

    def away(engine: sqlalchemy.Engine, jobs: Sequence[Claimed]) -> set[UUID]:
        if not failed:
            failed.append({job.id for job in jobs} <= set(drainer.leases._held))
            raise exc.OperationalError("UPDATE", {}, Exception("away"))
        return real(engine, jobs)

    def during(run: int, held: Sequence[Held]) -> None:
        if run == 2:
            running = {item.job.id for item in held}
            until(lambda: given_back(platform, drainer, running))

    monkeypatch.setattr(settle, "give_back", away)
    briefly(monkeypatch)
    assert watching(during).drain("cpu", "wake") == 6
    assert failed == [True]


def test_what_could_not_be_given_back_is_renewed_no_more(
    drainer: Drainer, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait("aa")

    def away(*_: object) -> None:
        raise exc.OperationalError("UPDATE", {}, Exception("away"))

    taken = drainer._claim("cpu", "wake")
    assert taken is not None
    assert drainer.leases._held
    monkeypatch.setattr(settle, "give_back", away)
    with pytest.raises(exc.OperationalError):
        dataclasses.replace(drainer, lease_s=0.1)._give_back("cpu", taken)
    assert not drainer.leases._held


def test_where_it_takes_long_to_settle_nothing_is_claimed_ahead_again(
    wait: Wait, left: Left, ahead: list[claim.Batch | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait("aaaaaaaaaa")
    finish, give_back = Finisher.finish, settle.give_back
    returned: list[set[UUID]] = []

    def late(*arguments: Any) -> int:
        until(lambda: returned)
        return finish(*arguments)

    def noted(*arguments: Any) -> set[UUID]:
        returned.append(give_back(*arguments))
        return returned[-1]

    monkeypatch.setattr(Finisher, "finish", late)
    monkeypatch.setattr(settle, "give_back", noted)
    briefly(monkeypatch)
    assert left() == [8, 4, 4, 2, 0]
    assert (len(ahead), [len(ids) for ids in returned]) == (1, [2])


def test_what_was_claimed_ahead_is_not_begun_by_a_worker_that_is_to_stop(
    platform: Platform, drainer: Drainer, watching: Watching, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait("aaaaaa")

    def during(run: int, held: Sequence[Held]) -> None:
        if run == 2:
            monkeypatch.setattr(drainer.leases, "_asked_to_stop", lambda: True)

    assert watching(during).drain("cpu", "wake") == 4
    until(lambda: given_back(platform, drainer, set()))
    assert len(of_status(platform, "completed")) == 4


def test_what_was_claimed_ahead_of_a_run_that_breaks_off_is_given_back(
    platform: Platform, drainer: Drainer, watching: Watching, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait("aaaaaaaa")

    def during(run: int, held: Sequence[Held]) -> None:
        if run == 2:
            raise KeyboardInterrupt

    briefly(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        watching(during).drain("cpu", "wake")
    until(lambda: len(of_status(platform, "completed")) == 2)
    until(lambda: len(of_status(platform, "pending")) == 4)
    until(lambda: not drainer.leases._held)
    # What broke off is nobody's until its lease is over.
    assert len(of_status(platform, "processing")) == 2
