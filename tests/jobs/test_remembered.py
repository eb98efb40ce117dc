"""Explanations that are begun again, as their worker was lost: what the model has answered is not asked again."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import text

from inference import bundle, model
from inference.explain.wanted import Known
from jobs import kinds, queries, remembered, retention
from jobs.drain import Drainer
from jobs.remembered import Remembered
from storage.objects import Store
from tests import factories, graphs
from tests.conftest import Platform, until
from tests.hands import lose, took

NewJob = Callable[..., UUID]
THERE = ([False] * 9, [True] * 9, [*[True, False] * 4, True])
KNOWN: Known = {np.array(there).tobytes(): 0.1 * sum(there) for there in THERE}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "EVERY_S", 0.0)


def folder() -> str:
    return f"results/{uuid.uuid4().hex}/"


def learn(mine: Remembered, place: int, known: Known) -> None:
    """What the attempt hears of the input in this place is kept."""
    mine.of(place).update(known)

    def is_kept() -> bool:
        mine.keep()
        return not mine._grown(place)

    until(is_kept)


def test_what_is_known_is_read_as_it_was_written() -> None:
    assert remembered.read(remembered.written(KNOWN)) == KNOWN
    # No more than an answer and a bit for each feature.
    assert len(remembered.written(KNOWN)) == 4 + 3 * (8 + 2)


def test_a_later_attempt_knows_of_each_input_what_the_earlier_ones_learned(platform: Platform) -> None:
    first = Remembered(platform.store, where := folder(), 1)
    few = dict([*KNOWN.items()][:1])
    learn(first, 0, KNOWN)
    learn(first, 2, few)
    again = Remembered(platform.store, where, 2)
    assert [again.of(place) for place in range(3)] == [KNOWN, {}, few]
    learn(again, 1, few)
    assert Remembered(platform.store, where, 3).of(1) == few
    # The first of all looks for nothing, and another job's is none of its.
    assert Remembered(platform.store, where, 1).of(0) == Remembered(platform.store, folder(), 2).of(0) == {}


def test_without_a_store_all_is_asked_again(platform: Platform) -> None:
    away = Store(dataclasses.replace(platform.settings.storage, endpoint_url="http://127.0.0.1:1"), attempts=1)
    mine = Remembered(away, folder(), 2)
    found = mine.of(0)
    found.update(KNOWN)
    mine.keep()
    until(lambda: mine._keeping is not None and not mine._keeping.is_alive())
    assert mine._grown(0)


def test_it_is_kept_once_in_a_while_and_not_after_each_answer(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "EVERY_S", 3600.0)
    mine = Remembered(platform.store, folder(), 1)
    mine.of(0).update(KNOWN)
    mine.keep()
    assert mine._keeping is None


@pytest.mark.usefixtures("quiet")
def test_the_next_worker_goes_on_where_a_lost_one_was(
    platform: Platform, drainer: Drainer, new_job: NewJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, scores, asked = f"m{uuid.uuid4().hex}", model.Model.scores, list[int]()
    made = graphs.bundle(
        tmp_path / name, name=name, explanation=["shap"], explain={"method": "sampled", "background": "usual.jsonl"}
    )
    (made / "usual.jsonl").write_text('{"x": 0, "y": 0}\n')
    platform.catalog.publish(bundle.load(made))

    def counted(self: model.Model, rows: model.Rows, *more: Any) -> Any:
        asked.append(len(rows))
        return scores(self, rows, *more)

    monkeypatch.setattr(model.Model, "scores", counted)
    inputs = [{"x": 2, "y": 1}, {"x": 3, "y": 1}]
    mine = new_job(kind="explain", pool="explain", model=name, inputs=inputs, options={"explain": "shap"})
    [held] = drainer.leases.hold(took(platform, pool="explain"))
    [lost] = drainer.attempts.run([held])
    drainer.leases.release([held])
    keys = [f"{kinds.EXPLAIN.folder(mine)}asked.{place}" for place in range(2)]
    until(lambda: platform.store.head(keys[0]))
    assert sum(asked) == 8
    lose(platform)
    asked.clear()
    assert drainer.drain("explain", "wake") == 1
    assert sum(asked) < 8
    found = queries.get(platform.engine, held.job.tenant_id, mine)
    assert (found.status, found.attempt, found.result) == ("completed", 2, lost.result)


def test_what_was_kept_goes_with_its_job(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    ended = {"status": "completed", "finished_at": text("now() - interval '40 d'")}
    old = UUID(int=1 << 96)
    job = factories.job(platform, tenant, id=old, kind="explain", **ended)["id"]
    learn(Remembered(platform.store, kinds.EXPLAIN.folder(job), 1), 0, KNOWN)
    assert retention.purge(platform.engine, platform.store) == 1
    assert Remembered(platform.store, kinds.EXPLAIN.folder(job), 2).of(0) == {}
