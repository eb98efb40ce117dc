"""Jobs of several inputs: what a bad one of them spoils."""

from __future__ import annotations

import json
from typing import Any

import pytest
import urllib3
from flask.testing import FlaskClient

from jobs.drain import Drainer

GOOD, BAD = {"text": "Lovely"}, {"text": ""}
INDIVIDUAL = {"return_errors": "individual"}


def done(client: FlaskClient, drainer: Drainer, **body: Any) -> dict[str, Any]:
    """The job of such a request, once it has run."""
    made = client.post("/api/v1/jobs", json=body)
    assert made.status_code == 202, made.text
    drainer.drain("cpu", "wake")
    return dict(client.get(made.headers["Location"]).json)


def kinds(job: dict[str, Any]) -> list[str]:
    return [next(iter(item)) for item in job["result"]["predictions"]]


@pytest.mark.parametrize("options", [{}, {"return_errors": "fail_fast"}], ids=["by default", "when told so"])
def test_a_bad_input_refuses_the_list(client: FlaskClient, options: dict[str, str]) -> None:
    answer = client.post("/api/v1/jobs", json={"inputs": [GOOD, BAD], "options": options})
    assert (answer.status_code, answer.json["error"]["details"]["field"]) == (422, "inputs.1.text")


def test_a_bad_input_has_its_error_in_its_place_when_asked_for(client: FlaskClient, drainer: Drainer) -> None:
    job = done(client, drainer, inputs=[BAD, GOOD, BAD], options={**INDIVIDUAL, "explain": True})
    assert kinds(job) == ["error", "prediction", "error"]
    assert job["result"]["predictions"][2]["error"]["details"]["field"] == "inputs.2.text"
    assert job["result"]["predictions"][1]["explanation"]["method"] == "scores"


def test_a_list_of_which_every_input_is_bad_is_answered_with_their_errors(
    client: FlaskClient, drainer: Drainer
) -> None:
    assert kinds(done(client, drainer, inputs=[BAD, BAD], options=INDIVIDUAL)) == ["error", "error"]


def test_the_same_list_again_has_the_same_errors(client: FlaskClient, drainer: Drainer) -> None:
    first = done(client, drainer, inputs=[BAD, GOOD], options=INDIVIDUAL)
    again = client.post(first["links"]["retry"]).headers["Location"]
    drainer.drain("cpu", "wake")
    assert client.get(again).json["result"] == first["result"]


def test_a_large_result_has_the_errors_in_place_as_well(client: FlaskClient, drainer: Drainer) -> None:
    foreign = {**GOOD, "x" * 500: 1}
    job = done(client, drainer, inputs=[GOOD, *[foreign] * 900], options=INDIVIDUAL)
    kept = json.loads(urllib3.request("GET", job["result"]["url"], timeout=60).data)["predictions"]
    assert [next(iter(item)) for item in kept] == ["prediction", *["error"] * 900]


def test_one_input_alone_has_no_others_to_spoil(client: FlaskClient) -> None:
    answer = client.post("/api/v1/jobs", json={"inputs": GOOD, "options": INDIVIDUAL})
    assert answer.json["error"]["details"] == {
        "field": "options.return_errors",
        "issue": "is for files and lists of inputs only",
    }


def test_an_empty_list_is_refused(client: FlaskClient) -> None:
    answer = client.post("/api/v1/jobs", json={"inputs": [], "options": INDIVIDUAL})
    assert answer.json["error"]["details"]["field"] == "inputs"
