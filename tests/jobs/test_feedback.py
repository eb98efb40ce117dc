"""What is true of an answer, as it is written down."""

from __future__ import annotations

from typing import Any

import pytest

import models
from core import errors
from inference.output import Label, Numbers
from jobs import feedback, queries, result
from jobs.job import Job
from tests import factories
from tests.conftest import Platform

SAID = {"label": Label("a", 0.75, {"a": 0.75, "b": 0.25}), "number": Numbers({"price": 2.5})}


def answered(platform: Platform, said: Any) -> Job:
    tenant = factories.tenant(platform)
    job = factories.job(platform, tenant, status="completed", model="judged", version="3.0.0")["id"]
    factories.add(platform, models.JobResult, job_id=job, body=result.dump(said))
    return queries.get(platform.engine, tenant, job)


@pytest.mark.parametrize(
    ("form", "first", "last", "written"),
    [
        ("label", "a", "b", ("a", 0.75, None, "b", None)),
        ("number", 1, 0.0, (None, None, 2.5, None, 0.0)),
    ],
)
def test_the_last_word_on_an_answer_of_either_form_is_the_one_that_is_kept(
    platform: Platform, form: str, first: str | float, last: str | float, written: tuple[object, ...]
) -> None:
    other, job = answered(platform, SAID[form]), answered(platform, SAID[form])
    feedback.give(platform.engine, job, first, None)
    assert platform.rows("SELECT FROM feedback WHERE job_id = :id", id=other.id) == []
    platform.execute("UPDATE feedback SET at = now() - interval '1 h' WHERE job_id = :id", id=job.id)
    feedback.give(platform.engine, job, last, None)
    columns = "model, version, at > now() - interval '1 min', label, confidence, number, true_label, true_number"
    found = platform.rows(f"SELECT {columns} FROM feedback WHERE job_id = :id", id=job.id)
    assert found == [("judged", "3.0.0", True, *written)]


@pytest.mark.parametrize(
    ("form", "truth", "says"),
    [
        ("label", 1.0, "must be a label"), ("number", "a", "must be a number"),
        ("number", float("inf"), "must be a number"), ("number", float("nan"), "must be a number"),
    ],
)  # fmt: skip
def test_a_truth_of_another_form_than_the_answer_is_refused(
    platform: Platform, form: str, truth: str | float, says: str
) -> None:
    job = answered(platform, SAID[form])
    with pytest.raises(errors.InvalidInput) as refused:
        feedback.give(platform.engine, job, truth, None)
    assert says in str(refused.value.details)
    platform.execute("DELETE FROM jobs WHERE id = :id", id=job.id)
    with pytest.raises(errors.JobNotFound):
        feedback.give(platform.engine, job, "a" if form == "label" else 1.0, None)
