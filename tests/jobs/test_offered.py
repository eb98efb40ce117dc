"""What shadows are to be asked again: what the stable version has answered, or could not, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy

import models
from core import errors, metrics
from inference.output import Label, Text
from jobs import kinds
from jobs.job import Claimed
from jobs.lease import Held
from jobs.outcome import Outcome
from jobs.result import Fault, Several, Stored
from jobs.shadows import buffer, copies, pairs
from jobs.shadows.buffer import Buffer
from registry.versions import Mirror
from tests import factories
from tests.conftest import Platform, until
from tests.factories import PAST
from tests.hands import with_tools, without_threads

ONE, OTHER, BROKEN = Label("a", 0.75, {}), Label("b", 0.5, {}), errors.ModelError("no")
ROWS = [{"x": 1}, {"x": 2}]
REFUSED = {"refused": {"1": {"error": {"code": "INVALID_INPUT"}}}}
#: What is other about the job, how its attempt ended, and what is offered of it.
ENDS: Mapping[str, tuple[dict[str, Any], dict[str, Any], list[object] | None]] = {
    "an answer": ({"inputs": ROWS[0]}, {"result": ONE}, [ONE]),
    "answers": ({}, {"result": Several([ONE, OTHER])}, [ONE, OTHER]),
    "answers beside what is no input": (
        {"options": REFUSED}, {"result": Several([ONE, Fault({}), OTHER])}, [ONE, OTHER],
    ),
    "a failure": ({}, {"error": BROKEN}, [BROKEN, BROKEN]),
    "a failure that may heal": ({}, {"error": errors.OutOfMemory()}, None),
    "its time was over": ({}, {"error": errors.TimedOut()}, None),
    "put off": ({}, {"error": errors.Unavailable()}, None),
    "too large": ({}, {"result": Stored("key", 9)}, None),
    "given back": ({}, {}, None),
    "by a canary": ({"route": "canary next"}, {"result": Several([ONE, OTHER])}, None),
    "by a version that was asked for": ({"route": "pinned"}, {"result": Several([ONE, OTHER])}, None),
}  # fmt: skip


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("end", ENDS)
def test_what_the_stable_version_said_of_a_job_is_offered_once_it_is_over(
    platform: Platform, end: str, lost: bool
) -> None:
    of_job, came_to, said = ENDS[end]
    job = Claimed(UUID(int=1), UUID(int=2), "predict", 1, 4, "sentiment", "1.0.0", 60, ROWS, {}, "req", route="stable")
    held = Held(dataclasses.replace(job, **of_job), lost=lost)
    offered: list[tuple[object, ...]] = []
    shadows = SimpleNamespace(offer=lambda *given: offered.append(given[1:]))
    tools = with_tools(platform.attempts, shadows=shadows).tools
    assert kinds.PREDICT.settled(tools, Outcome(held, **came_to)) == set()
    rows = ROWS[:1] if end == "an answer" else ROWS
    assert offered == ([] if lost or said is None else [(("sentiment", "1.0.0", "req"), rows, said)])


@pytest.fixture(autouse=True)
def nothing_left(platform: Platform) -> Iterator[None]:
    yield
    platform.execute("DELETE FROM shadow_copies")


@pytest.fixture
def model() -> str:
    return factories.unique("shade")


def offer(made: Buffer, model: str) -> None:
    """Three rows, of whose answers the first cannot be compared."""
    rows = [{"x": number} for number in range(3)]
    made.offer([Mirror("next", "2.0.0", "gpu")], (model, "1.0.0", "req"), rows, [Text("no"), ONE, BROKEN])


@pytest.mark.usefixtures("quiet")
def test_what_is_offered_is_soon_where_workers_find_it_and_those_are_woken(
    platform: Platform, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "EVERY_S", 0.01)
    woken: list[str] = []
    hints: Any = SimpleNamespace(send=woken.append)
    offer(Buffer(platform.engine, hints), model)
    until(lambda: woken)
    asked = "SELECT model, version, pool, place, inputs, stable_label, stable_error FROM shadow_copies ORDER BY id"
    assert platform.rows(asked) == [
        (model, "2.0.0", "gpu", 1, {"x": 1}, "a", None), (model, "2.0.0", "gpu", 2, {"x": 2}, None, "MODEL_ERROR"),
    ]  # fmt: skip
    assert woken == ["gpu"]


@pytest.mark.usefixtures("quiet")
def test_without_a_thread_an_answer_is_an_answer_and_the_next_one_starts_it(
    platform: Platform, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "EVERY_S", 0.01)
    made = Buffer(platform.engine, SimpleNamespace(send=lambda _: None))  # type: ignore[arg-type]
    with without_threads(monkeypatch):
        offer(made, model)
    offer(made, model)
    until(lambda: platform.one("SELECT count(*) FROM shadow_copies") == (4,))


def test_for_what_could_not_be_stored_nobody_is_woken(
    nowhere: sqlalchemy.Engine, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "EVERY_S", 0.01)
    woken: list[str] = []
    hints: Any = SimpleNamespace(send=woken.append)
    offer(Buffer(nowhere, hints), model)
    until(lambda: metrics.SHADOWS.labels(model, "dropped_not_stored")._value.get() == 2)
    assert woken == []


@pytest.mark.usefixtures("quiet")
def test_what_is_too_late_is_in_the_way_of_nothing_and_is_not_taken_along(platform: Platform) -> None:
    for place, (version, late) in enumerate([("2.0.0", True), ("2.1.0", False), ("2.1.0", True), ("2.1.0", False)]):
        factories.add(
            platform, models.ShadowCopy, version=version, place=place, **({"expires_at": PAST} if late else {})
        )
    assert [copy.place for copy in copies.take(platform.engine, "cpu", 8)] == [1, 3]
    assert copies.take(platform.engine, "cpu", 8) == []


@pytest.mark.usefixtures("quiet")
def test_no_more_are_taken_than_are_asked_for_the_oldest_first(platform: Platform) -> None:
    for place in range(4):
        factories.add(platform, models.ShadowCopy, place=place)
    taken = [[copy.place for copy in copies.take(platform.engine, "cpu", limit)] for limit in (1, 2, 8)]
    assert taken == [[0], [1, 2], [3]]


def test_what_is_compared_is_a_shadow_s_last_version_beside_the_last_stable_one(platform: Platform, model: str) -> None:
    given: list[dict[str, Any]] = [
        {"version": "1.9.0"}, {"stable_version": "0.9.0"}, {}, {"name": "other"}, {"model": f"{model}-2"}, {},
        {"name": "other", "version": "3.0.0"}, {"model": f"{model}-2", "version": "3.0.0"},
    ]  # fmt: skip
    for place, each in enumerate(given):
        factories.add(platform, models.ShadowPair, **{"model": model, "place": place, **each})
    assert [pair.place for pair in pairs.of(platform.engine, model, "next")] == [2, 5]
    for name in ("nobody", "\0"):
        with pytest.raises(errors.NotFound):
            pairs.of(platform.engine, model, name)
    listed = [(item.model, item.name, item.pairs) for item in pairs.names(platform.engine) if model in item.model]
    assert listed == [(model, "next", 4), (model, "other", 2), (f"{model}-2", "next", 2)]
    platform.execute("DELETE FROM shadow_pairs WHERE starts_with(model, :model)", model=model)
