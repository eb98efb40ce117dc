"""The truth arrives after the answer: whoever had the job says it, and operators see how often versions were right."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from inference import bundle
from jobs import quality
from jobs.drain import Drainer
from tests import factories, graphs
from tests.api.administrator import Administrator
from tests.conftest import Platform

JOBS = "/api/v1/jobs"


@pytest.fixture
def name(platform: Platform, tmp_path: Path) -> Iterator[str]:
    found = factories.unique("judged").lower()
    platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / "1", name=found)))
    yield found
    platform.execute("DELETE FROM jobs WHERE model = :name", name=found)
    platform.execute("DELETE FROM models WHERE name = :name", name=found)


def done(client: FlaskClient, drainer: Drainer, name: str, inputs: Any) -> str:
    """The address of a job that has ended."""
    made = client.post(JOBS, json={"model": name, "inputs": inputs})
    assert made.status_code == 202, made.text
    drainer.drain("cpu", "wake")
    return str(made.headers["Location"])


def test_accuracy_and_calibration_are_those_of_the_truth_that_was_told(
    client: FlaskClient, drainer: Drainer, admin: Administrator, name: str
) -> None:
    rows = [{"x": x / 2, "y": 1.0} for x in range(9)]
    jobs = [done(client, drainer, name, row) for row in rows]
    answers = [client.get(job).get_json()["result"] for job in jobs]
    truths = ["a" if place % 3 else "b" for place in range(9)]
    for job, truth in zip(jobs, truths, strict=True):
        assert client.post(f"{job}/feedback", json={"truth": truth}).status_code == 204
    (found,) = admin.get(f"quality/{name}")["versions"]
    pairs = [
        (answer["prediction"] == truth, answer["confidence"]) for answer, truth in zip(answers, truths, strict=True)
    ]
    labels = found["labels"]
    assert (found["version"], found["judged"], found["numbers"]) == ("1.0.0", 9, None)
    assert labels["accuracy"]["value"] == sum(right for right, _ in pairs) / 9
    assert labels["brier"] == pytest.approx(sum((sure - right) ** 2 for right, sure in pairs) / 9, abs=1e-5)
    off = 0.0
    for tenth in range(10):
        mine = [pair for pair in pairs if min(int(pair[1] * 10), 9) == tenth]
        off += abs(sum(right for right, _ in mine) - sum(sure for _, sure in mine)) / 9
        assert labels["bins"][tenth]["count"] == len(mine)
    assert [(item["from"], item["accuracy"] is None) for item in labels["bins"]] == [
        (tenth / 10, not labels["bins"][tenth]["count"]) for tenth in range(10)
    ]
    assert labels["calibration_error"] == pytest.approx(off, abs=1e-5)


def test_the_last_word_counts_and_the_same_word_again_is_no_more_than_one(
    platform: Platform, client: FlaskClient, drainer: Drainer, name: str
) -> None:
    job = done(client, drainer, name, {"x": 2, "y": 1})
    for truth in ("b", "b", "a"):
        assert client.post(f"{job}/feedback", json={"truth": truth}).status_code == 204
    (found,) = quality.of(platform.engine, name)
    assert (found["judged"], found["labels"]["accuracy"]["value"]) == (1, 1.0)
    platform.execute("DELETE FROM jobs WHERE model = :name", name=name)
    assert quality.of(platform.engine, name) == []


@pytest.mark.parametrize(
    ("truth", "says"),
    [("c", "must be one of: a, b"), (1, "must be a label"), ("", "between 1 and"), (True, "a label or a number"),
     (None, "null"), (["a"], "a label or a number")],
)  # fmt: skip
def test_what_the_answer_cannot_have_been_is_refused(
    platform: Platform, client: FlaskClient, drainer: Drainer, name: str, truth: Any, says: str
) -> None:
    job = done(client, drainer, name, {"x": 2, "y": 1})
    answer = client.post(f"{job}/feedback", json={"truth": truth})
    assert (answer.status_code, answer.get_json()["error"]["details"]["field"]) == (422, "truth")
    assert says in answer.text
    assert platform.rows("SELECT FROM feedback WHERE model = :name", name=name) == []


def test_only_what_has_one_comparable_answer_can_be_judged(
    client: FlaskClient, drainer: Drainer, name: str, platform: Platform
) -> None:
    waiting = client.post(JOBS, json={"model": name, "inputs": {"x": 2, "y": 1}}).headers["Location"]
    answer = client.post(f"{waiting}/feedback", json={"truth": "a"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "JOB_STATE_CONFLICT")
    several = done(client, drainer, name, [{"x": 2, "y": 1}])
    answer = client.post(f"{several}/feedback", json={"truth": "a"})
    assert (answer.status_code, "of one input" in answer.text) == (422, True)
    _, other = platform.new_tenant()
    strangers = {"Authorization": f"Bearer {other}"}
    answer = client.post(f"{waiting}/feedback", json={"truth": "a"}, headers=strangers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "JOB_NOT_FOUND")


def judged(platform: Platform, pairs: Sequence[tuple[float, float]]) -> Any:
    """What the quality of a model is that said so and should have said so."""
    name = factories.unique("number")
    tenant = factories.tenant(platform)
    for said, true in pairs:
        job = factories.job(platform, tenant, status="completed", model=name)["id"]
        platform.execute(
            "INSERT INTO feedback (job_id, model, version, number, true_number) VALUES (:job, :of, '1', :said, :true)",
            job=job, of=name, said=said, true=true,
        )  # fmt: skip
    (found,) = quality.of(platform.engine, name)
    return found["numbers"]


def test_numbers_are_judged_by_how_far_off_they_were(platform: Platform) -> None:
    found = judged(platform, [(1.0, 2.0), (3.0, 1.0), (5.0, 5.0)])
    assert found["mean_absolute_error"] == 1.0
    assert found["root_mean_square_error"] == pytest.approx((5 / 3) ** 0.5)
    assert found["bias"]["value"] == pytest.approx(1 / 3)


def test_numbers_that_are_as_far_off_as_can_be_are_judged_as_well(platform: Platform) -> None:
    found = judged(platform, [(1.5e308, -1.5e308), (-1.5e308, 1.5e308)])
    assert found["mean_absolute_error"] == pytest.approx(sys.float_info.max)
    assert found["root_mean_square_error"] == pytest.approx(sys.float_info.max)
    assert found["bias"]["value"] == 0.0
