"""Reasons that take many questions: their job says how far it is, and ends in the middle."""

from __future__ import annotations

import dataclasses
import math
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import yaml

from core import errors
from core.setting_groups import Storage
from inference import bundle, model
from inference.interrupt import Interrupt
from inference.output import Embedding, Explanation, Label
from jobs import lease, why
from jobs.job import Claimed
from jobs.kinds import predict
from jobs.lease import Held
from jobs.outcome import Outcome
from jobs.remembered import Remembered
from jobs.result import Fault, Several
from storage.objects import Store
from tests.conftest import ROOT, until

TEXT = " ".join(f"word{number}" for number in range(60))
ROW = {"text": TEXT, "language": "en", "confidence_threshold": 0.0}


@pytest.fixture
def asking(tmp_path: Path) -> model.Model:
    folder = shutil.copytree(ROOT / "bundles" / "sentiment-2", tmp_path / "b")
    says = yaml.safe_load((folder / "model.yaml").read_text())
    says |= {"explanation": ["shap"], "explain": {"method": "sampled", "evaluations": 8192, "units": 9}}
    (folder / "model.yaml").write_text(yaml.safe_dump(says))
    opened = model.open_model(bundle.load(folder))
    assert isinstance(opened, model.Model)
    return opened


def held(inputs: object) -> Held:
    options = {"explain": "shap"}
    return Held(Claimed(UUID(int=1), UUID(int=0), "explain", 1, 4, "m", "1", 300, inputs, options, "req"))


def alone(asking: model.Model, mine: Held) -> Outcome:
    nowhere = Store(Storage(endpoint_url="http://127.0.0.1:1", access_key="", secret_key=""), attempts=1)
    return predict.run_alone(asking, mine, Remembered(nowhere, "", 1))


def test_it_tells_how_many_questions_are_answered_and_ends_between_two(asking: model.Model) -> None:
    mine, found = held(ROW), list[Outcome]()
    run = threading.Thread(target=lambda: found.append(alone(asking, mine)))
    run.start()
    until(lambda: mine.progress > 0)
    assert mine.progress < 50
    mine.canceled = True
    mine.interrupt.set()
    run.join(20)
    [outcome] = found
    assert (outcome.result, outcome.error, outcome.units) == (None, None, 0)


def test_the_progress_of_several_rises_and_is_never_more_than_all(
    asking: model.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    monkeypatch.setattr(Held, "advance", lambda _, fraction: told.append(fraction))
    outcome = alone(asking, held([{**ROW, "text": text} for text in ("good bad", "good old dog", "so so")]))
    assert isinstance(outcome.result, Several)
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] <= 1
    assert len({*told}) >= 3


def test_one_whose_time_is_over_before_the_least_is_asked_is_told_what_to_do(asking: model.Model) -> None:
    mine, found = held(ROW), list[Outcome]()
    run = threading.Thread(target=lambda: found.append(alone(asking, mine)))
    run.start()
    until(lambda: mine.progress > 0)
    mine.timed_out = True
    mine.interrupt.set()
    run.join(20)
    [outcome] = found
    assert isinstance(outcome.error, errors.TimedOut)
    assert "larger timeout_s" in outcome.error.message
    # Of a prediction there is nothing less to be had.
    mine = held(ROW)
    mine.job, mine.timed_out = dataclasses.replace(mine.job, options={}), True
    [outcome] = predict.run(asking, [mine])
    assert str(outcome.error) == f"The run took longer than timeout_s={mine.job.timeout_s}"


def test_one_that_must_be_as_exact_as_is_asked_is_refused_where_it_is_not(asking: model.Model) -> None:
    for exactly, refused in (({"explain_strict": True}, True), ({}, False)):
        mine = held([ROW])
        options = {**mine.job.options, "explain_tolerance": 1e-9, "return_errors": "individual", **exactly}
        mine.job = dataclasses.replace(mine.job, options=options, timeout_s=2)
        outcome = alone(asking, mine)
        assert isinstance(outcome.result, Several)
        [said] = outcome.result.items
        assert (isinstance(said, Fault) and said.error["code"]) == (refused and "TOLERANCE_NOT_MET")
        assert (outcome.units == 0) == refused


def test_what_is_not_within_the_tolerance_says_by_how_much_and_what_to_do() -> None:
    few = Explanation("leverage", "a", "number", ["x", "y"], [1.0, 2.0], [0.1, 0.2], 0.0, 3.0, 0.0, 64)
    for found, tolerance, told in (
        (few, 0.4, None),
        (few, 0.39, "known within 0.4 and not within 0.39: the model's evaluations allow no more"),
        (dataclasses.replace(few, cut_short=True), 0.1, "no time to ask more. POST /api/jobs with a larger timeout_s"),
        (dataclasses.replace(few, std_errors=None), 0.0, None),
        (None, 0.0, None),
    ):
        label = Label("a", 0.9, {"a": 0.9}, found)
        said = why.within(label, tolerance)
        assert (said is label) == (told is None)
        assert (told or "") in str(said)


def test_a_short_one_is_charged_with_its_reasons(asking: model.Model) -> None:
    outcome = alone(asking, held({**ROW, "text": "So good"}))
    manifest = asking.bundle.manifest
    assert outcome.units == manifest.units + 9
    assert not isinstance(outcome.error, errors.CoatcheckError)


def test_it_is_as_good_as_its_time_allows_and_ends_before_that_is_over(asking: model.Model) -> None:
    mine = held(ROW)
    mine.job = dataclasses.replace(mine.job, timeout_s=2)
    began = time.monotonic()
    outcome = alone(asking, mine)
    assert time.monotonic() - began < 120  # of which a busy machine takes most
    said = outcome.result
    assert isinstance(said, Label)
    assert said.explained is not None
    assert said.explained.algorithm == "leverage"
    assert said.explained.evaluations < 8192
    assert said.explained.cut_short


def test_what_a_list_is_refused_for_is_the_first_that_was_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.output.MOST_ELEMENTS", 3)
    running = predict._Running(held([ROW] * 4), [ROW] * 4)
    for said in (Embedding([1, 2]), Embedding([3, 4]), errors.ModelError(), Embedding([5])):
        running.hear(said)
    assert (type(running.error), running.said, running.open) == (errors.BatchTooLarge, [Embedding([1, 2])], False)


def test_a_run_had_better_end_within_four_fifths_of_its_part_of_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, clock = held(ROW), iter([100.0, 100.0, 200.0, 300.0])
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    first, second = Interrupt(), Interrupt()
    assert first.soon_at == math.inf
    mine.begin(first, 4)
    assert (mine.run_ends_at, first.soon_at) == (400.0, 100.0 + 0.8 * 300 / 4)
    # Its time began with its first run; and who is in a run with it may have less.
    mine.begin(second)
    assert mine.run_ends_at == 400.0
    assert second.soon_at == pytest.approx(360.0)
    mine.begin(first)
    assert first.soon_at == 160.0


def test_each_run_of_a_job_has_its_part_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    monkeypatch.setattr(Held, "begin", lambda _, interrupt, runs: begun.append(runs))
    manifest = SimpleNamespace(max_batch=2, cost=lambda level: 1)
    says: Any = SimpleNamespace(
        bundle=SimpleNamespace(manifest=manifest), each=lambda rows, _: [Label("a", 1.0, {})] * len(rows)
    )

    def asked(number: int, inputs: object) -> Held:
        return Held(Claimed(UUID(int=number), UUID(int=0), "predict", 1, 4, "m", "1", 300, inputs, {}, "req"))

    predict.run(says, [asked(1, [ROW] * 5)])
    assert begun == [2, 1, 1]
    begun.clear()
    predict.run(says, [asked(1, ROW), asked(2, ROW)])
    assert begun == [1, 1]


def test_it_asks_no_more_than_its_tolerance_takes(asking: model.Model) -> None:
    mine = held({**ROW, "text": " ".join(["Truly", "wonderful"] * 5)})
    mine.job = dataclasses.replace(mine.job, options={**mine.job.options, "explain_tolerance": 0.5})
    outcome = alone(asking, mine)
    said = outcome.result
    assert isinstance(said, Label)
    assert said.explained is not None
    assert said.explained.evaluations < 1024
    assert not said.explained.cut_short
