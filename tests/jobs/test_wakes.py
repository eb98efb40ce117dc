"""Who is woken, by whom, and for what: nobody waits for a chore's next round where a worker knows better."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy
from sqlalchemy import text

import models
from core import broker, errors, metrics
from core.broker import WEBHOOKS, Hints, Line
from inference.interrupt import Interrupt
from jobs import chores
from jobs.attempt import Attempts
from jobs.drain import Drainer
from jobs.floors import Floors
from jobs.job import Claimed
from jobs.lease import Held, Leases
from jobs.outcome import Outcome
from jobs.payloads import Chunk as Payload
from jobs.result import Part, Result
from jobs.shadows import slack
from tests import factories
from tests.conftest import Platform
from tests.factories import PAST, SOON
from tests.hands import SAID

pytestmark = pytest.mark.usefixtures("quiet")


class Heard(Hints):
    """Hints that go out, and are kept."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url, Line(redis_url))
        self.pools: list[str] = []

    def send(self, pool: str) -> bool:
        self.pools.append(pool)
        return super().send(pool)


@pytest.fixture
def heard(platform: Platform) -> Heard:
    found = Heard(platform.settings.queue.redis_url)
    for pool in (*broker.POOLS, WEBHOOKS):
        found.clear(pool)
    return found


@pytest.fixture
def tenant(platform: Platform) -> UUID:
    return factories.tenant(platform)


@pytest.fixture
def shadow(platform: Platform) -> Iterator[Callable[..., object]]:
    """Adds what a shadow is to be asked."""
    yield lambda **given: factories.add(platform, models.ShadowCopy, version="1.0.0", **given)
    platform.execute("DELETE FROM shadow_copies")


#: A job in the pool of cards, and whether there is anything to do for whoever works there.
DUE: Mapping[str, tuple[Mapping[str, Any], bool]] = {
    "due": ({}, True),
    "due for the second time": ({"attempt": 1, "worker": "node/a/1"}, True),
    "to be tried again later": ({"not_before": SOON}, False),
    "too late": ({"expires_at": PAST}, False),
    "endless": ({"expires_at": text("'infinity'")}, True),
    "runs": ({"status": "processing"}, False),
    **{status: ({"status": status}, False) for status in factories.TERMINAL},
}


@pytest.mark.parametrize("situation", DUE)
def test_the_pool_of_a_job_that_is_due_is_woken_and_no_other(
    platform: Platform, tenant: UUID, heard: Heard, situation: str
) -> None:
    given, due = DUE[situation]
    factories.job(platform, tenant, pool="gpu", **given)
    assert chores.wake(platform.engine, heard, Floors()) == int(due)
    assert heard.pools == ["gpu"] * due
    # Who was woken a moment ago is not counted again.
    assert chores.wake(platform.engine, heard, Floors()) == 0


def test_however_many_are_due_no_look_is_answered_with_more_than_one_of_them(
    platform: Platform, tenant: UUID, heard: Heard
) -> None:
    for _ in range(3):
        factories.job(platform, tenant)
    answered: list[int] = []

    def note(_connection: object, cursor: Any, *_: object) -> None:
        answered.append(cursor.rowcount)

    sqlalchemy.event.listen(platform.engine, "after_cursor_execute", note)
    try:
        chores.wake(platform.engine, heard, Floors())
    finally:
        sqlalchemy.event.remove(platform.engine, "after_cursor_execute", note)
    assert (heard.pools, max(answered)) == (["cpu"], 1)


def test_the_pool_of_what_shadows_are_to_be_asked_is_woken_as_long_as_that_is_of_use(
    platform: Platform, heard: Heard, shadow: Callable[..., object]
) -> None:
    shadow(pool="gpu")
    shadow(expires_at=PAST)
    assert chores.wake(platform.engine, heard, Floors()) == 1
    assert heard.pools == ["gpu"]


@pytest.mark.parametrize(("given", "due"), [({}, True), ({"expires_at": PAST}, False)], ids=["to be asked", "over"])
def test_the_pool_that_is_to_ask_a_shadow_is_woken_and_no_other(
    platform: Platform, heard: Heard, given: dict[str, Any], due: bool
) -> None:
    factories.add(platform, models.ShadowCopy, pool="gpu", **given)
    assert chores.wake(platform.engine, heard, Floors()) == int(due)
    assert heard.pools == ["gpu"] * due


def claimed(job: Mapping[str, Any], **more: Any) -> Claimed:
    return Claimed(
        job["id"], job["tenant_id"], job["kind"], 1, 4, "sentiment", "1.0.0", 300, job["inputs"], job["options"],
        "req", **more,
    )  # fmt: skip


def parked(platform: Platform, tenant: UUID) -> Mapping[str, Any]:
    """A file that waits for its parts, and then for cards."""
    endless = {"worker": None, "wake_id": None, "lease_expires_at": "infinity"}
    return factories.job(platform, tenant, kind="bulk", status="processing", pool="gpu", **endless)


def test_who_looks_how_far_files_are_wakes_who_puts_them_together(
    platform: Platform, tenant: UUID, heard: Heard
) -> None:
    for _ in range(2):
        factories.chunk(platform, parked(platform, tenant), status="completed")
    factories.chunk(platform, parked(platform, tenant))
    assert [chores.advance(platform.engine, heard) for _ in range(2)] == [1, 0]
    assert heard.pools == ["gpu"]


def chunk(platform: Platform, tenant: UUID, **other: Any) -> Claimed:
    """The chunk in this worker's hands of a job that waits for cards, beside another in this state."""
    bulk = parked(platform, tenant)
    factories.chunk(platform, bulk, part=1, **other)
    where = Payload(bulk["id"], "input", "etag", None, 0, start=0, end=1, line=1, rows=1)
    mine = factories.chunk(platform, bulk, status="processing", inputs=where.to_json())
    return claimed(mine)


PART = Part("nowhere", rows=1, failed=0)


@pytest.mark.parametrize(
    ("other", "woken"),
    [({"status": "completed"}, ["gpu"]), ({"status": "failed"}, ["gpu"]), ({"status": "pending"}, []),
     ({"status": "processing"}, [])],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("end", ["answered", "failed"])
def test_the_last_chunk_of_a_file_wakes_who_puts_it_together_however_it_ends_and_no_other_does(
    platform: Platform, tenant: UUID, drainer: Drainer, heard: Heard, other: dict[str, Any], woken: list[str], end: str
) -> None:
    held = Held(chunk(platform, tenant, **other))
    done = Outcome(held, PART) if end == "answered" else Outcome(held, error=errors.ModelError())
    dataclasses.replace(drainer.finisher, hints=heard).finish([held], [done])
    assert heard.pools == woken


def test_a_chunk_that_fails_ends_a_file_that_is_to_fail_fast_at_once(
    platform: Platform, tenant: UUID, drainer: Drainer
) -> None:
    held = Held(chunk(platform, tenant, status="pending"))
    platform.execute('UPDATE jobs SET options = \'{"return_errors": "fail_fast"}\'')
    drainer.finisher.finish([held], [Outcome(held, error=errors.ModelError())])
    ends = "SELECT status, error ->> 'code' FROM jobs WHERE kind = 'bulk'"
    assert platform.rows(ends) == [("failed", "MODEL_ERROR")]


@pytest.mark.parametrize("result", [SAID, None], ids=["completed", "failed"])
@pytest.mark.parametrize("notifies", [(False, False), (True, False), (False, True), (True, True)], ids=str)
def test_who_calls_receivers_is_woken_once_when_any_of_a_batch_is_to_be_told(
    platform: Platform, tenant: UUID, drainer: Drainer, heard: Heard, notifies: tuple[bool, ...], result: Result | None
) -> None:
    held = [Held(claimed(factories.job(platform, tenant, status="processing"), notifies=wanted)) for wanted in notifies]
    done = [Outcome(item, result, None if result else errors.ModelError(), units=1) for item in held]
    assert dataclasses.replace(drainer.finisher, hints=heard).finish(held, done) == 2
    assert heard.pools == [WEBHOOKS] * any(notifies)


def test_a_worker_that_may_claim_nothing_more_leaves_what_is_due_to_another_and_wakes_it(
    platform: Platform, tenant: UUID, drainer: Drainer, heard: Heard, shadow: Callable[..., object]
) -> None:
    mine = factories.job(platform, tenant, pool="gpu")["id"]
    shadow(pool="gpu")
    stopping = Leases(platform.engine, lease_s=60, heartbeat_s=1, grace_s=1, asked_to_stop=lambda: True)
    assert dataclasses.replace(drainer, hints=heard, leases=stopping).drain("gpu", "wake") == 0
    assert heard.pools == ["gpu"]
    assert platform.one("SELECT status, attempt FROM jobs WHERE id = :id", id=mine) == ("pending", 0)
    assert len(platform.rows("SELECT FROM shadow_copies")) == 1


@pytest.mark.parametrize(("slice_s", "woken"), [(0.0, ["cpu"]), (60.0, [])])
def test_who_has_asked_shadows_until_its_time_was_over_has_another_go_on(
    platform: Platform, drainer: Drainer, heard: Heard, shadow: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch, slice_s: float, woken: list[str],
) -> None:  # fmt: skip
    # It asks the model for a quarter of a second.
    clock = iter([1.0, 1.25])
    monkeypatch.setattr(slack, "time", SimpleNamespace(monotonic=float, perf_counter=lambda: next(clock)))
    monkeypatch.setattr(drainer.slack, "watch", SimpleNamespace(until=lambda _: contextlib.nullcontext(Interrupt())))
    shadow()
    before = metrics.SHADOWS.labels("sentiment", "asked")._value.get()
    assert dataclasses.replace(drainer, hints=heard, slice_s=slice_s).drain("cpu", "wake") == 0
    assert heard.pools == woken
    assert metrics.SHADOWS.labels("sentiment", "asked")._value.get() == before + 1
    asked = "DELETE FROM shadow_pairs WHERE model = 'sentiment' RETURNING shadow_label, shadow_ms"
    assert platform.rows(asked) == [("positive", 250.0)]


class Refusing(Attempts):
    """Every attempt is the model's failure, at once."""

    def run(self, held: Sequence[Held]) -> list[Outcome]:
        return [Outcome(item, error=errors.ModelError()) for item in held]


@pytest.mark.parametrize(("jobs", "woken"), [(1, []), (2, ["cpu"]), (3, ["cpu"])])
def test_a_full_batch_asks_for_company_at_once(
    platform: Platform, tenant: UUID, drainer: Drainer, heard: Heard, jobs: int, woken: list[str]
) -> None:
    model = factories.add(platform, models.Model)["name"]
    factories.add(platform, models.ModelVersion, model=model, max_batch=2)
    for _ in range(jobs):
        factories.job(platform, tenant, model=model, lane=f"cpu/predict/{model}/1.0.0")
    refusing = Refusing(drainer.attempts.tools)
    try:
        assert dataclasses.replace(drainer, hints=heard, attempts=refusing).drain("cpu", "wake") == jobs
    finally:
        platform.execute("DELETE FROM models WHERE name = :name", name=model)
    assert heard.pools == woken
