"""The same input gets the same answer, whichever way it comes and whoever comes along."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import flask.testing
import pytest

from tests import graphs
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import lines, output, show, submit
from tests.conftest import Platform

Client = flask.testing.FlaskClient

#: Mild ones, which a digit can turn, among long ones.
TEXTS = [
    "brilliant!",
    "Great",
    "It is okay I guess",
    "not bad, not good",
    "hm",
    "so long a story " * 50,
    "fine? 😀",
    "a\0b",
]
OTHERS = ["terrible " * 90, "wow", "I have seen worse, but not often"]


@pytest.mark.parametrize("version", ["1.0.0", "2.1.0"])
def test_alone_in_company_of_strangers_in_a_list_in_a_file_and_again(
    client: Client, upload: Send, work: Run, platform: Platform, new_job: Callable[..., uuid.UUID], version: str
) -> None:
    model = platform.shelf.predictor(platform.catalog.resolve("sentiment", version))
    inputs = [{"text": text, "language": "en", "confidence_threshold": 0.0} for text in TEXTS]
    alone = [(found.label, found.confidence) for row in inputs for found in graphs.labels(model, [row])]

    def job(asked: Any) -> str:
        answer = client.post("/api/v1/jobs", json={"inputs": asked, "model_version": version})
        assert answer.status_code == 202, answer.text
        return str(answer.json["job_id"])

    single = []
    for row, other in zip(inputs, OTHERS * 3, strict=False):
        single.append(job(row))
        new_job(version=version, inputs={**row, "text": other})
    listed = job(inputs)
    filed = submit(client, upload(lines([{"text": other} for other in OTHERS] + inputs)), model_version=version)
    work()
    results = {
        "among strangers' jobs": [show(client, each)["result"] for each in single],
        "in a list": show(client, listed)["result"]["predictions"],
        "in a file": output(show(client, filed))[len(OTHERS) :],
    }
    again = job(inputs[::-1])
    platform.execute("UPDATE jobs SET lost_count = 1 WHERE status = 'pending'")
    work()
    results["reversed, after a worker was lost"] = show(client, again)["result"]["predictions"][::-1]
    if version == "1.0.0":
        asked = {"model_version": version}
        inline = [client.post("/api/v1/predict", json={**asked, "inputs": row}).json for row in inputs]
        together = client.post("/api/v1/predict/batch", json={**asked, "inputs": inputs}).json
        results |= {"inline": inline, "inline together": together["predictions"]}
    for how, found in results.items():
        assert [(each["prediction"], each["confidence"]) for each in found] == alone, how
