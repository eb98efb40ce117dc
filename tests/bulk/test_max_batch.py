"""A graph that was exported for one row at a time, which says so, is never handed two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import flask.testing
import pytest

from inference import bundle
from jobs.drain import Drainer
from tests import graphs
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import lines, output, show
from tests.conftest import Platform, until

Client = flask.testing.FlaskClient
ROWS = [{"x": 2, "y": 1}, {"x": 1, "y": 2}, {"x": 3, "y": 1}]
ANSWERS = ["a", "b", "a"]


@pytest.fixture
def model(platform: Platform, client: Client, tmp_path: Path) -> str:
    one = graphs.graph(graphs.GOOD, "float[1, 2] features", "float[1, 2] probabilities")
    platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / "bundle", one, name="onebyone", max_batch=1)))
    until(lambda: client.get("/api/v1/models/onebyone").status_code == 200)
    until(lambda: "onebyone" in {item.model for item in platform.catalog.versions()})
    return "onebyone"


@pytest.mark.parametrize("options", [{}, {"batch_size": 256}, {"return_errors": "individual"}], ids=str)
def test_inline(client: Client, model: str, options: dict[str, object]) -> None:
    answer = client.post("/api/v1/predict/batch", json={"model": model, "inputs": ROWS, "options": options})
    assert answer.status_code == 200, answer.text
    assert [item["prediction"] for item in answer.json["predictions"]] == ANSWERS


def test_as_jobs(platform: Platform, drainer: Drainer, new_job: Callable[..., UUID], model: str) -> None:
    for inputs in (ROWS[0], ROWS, ROWS[1]):
        new_job(model=model, inputs=inputs)
    drainer.drain("cpu", "wake")
    assert set(platform.rows("SELECT status, attempt, error FROM jobs")) == {("completed", 1, None)}


def test_in_a_file(client: Client, upload: Send, work: Run, model: str) -> None:
    body = {"model": model, "upload_id": upload(lines(ROWS))}
    job_id = client.post("/api/v1/jobs", json=body).json["job_id"]
    work()
    assert [row.get("prediction") for row in output(show(client, job_id))] == ANSWERS
