"""Whoever names no model, a wrong one, or hands in what it does not take, is led to where the right one is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

import api
from tests import callers
from tests.changed import changed
from tests.conftest import Platform

ALL = {"models": "/api/v1/models"}
SENTIMENT = {"schema": "/api/v1/models/sentiment/versions/1.0.0"}
SPEECH = {"schema": "/api/v1/models/speech/versions/1.0.0"}
GOOD = {"text": "Lovely"}
ROUTES = ("predict", "predict/batch", "jobs")


@pytest.fixture(scope="module")
def unset(platform: Platform, app: flask.Flask) -> Iterator[flask.Flask]:
    """An API whose operator has chosen no model; several are published. The other one's contract is looked at, and that
    of the first one that is made is whole."""
    made = api.create_app(changed(platform.settings, default_model=""))
    yield made
    made.extensions["coatcheck"].close()


@pytest.fixture
def asks(platform: Platform, unset: flask.Flask) -> FlaskClient:
    found = unset.test_client()
    found.environ_base["HTTP_AUTHORIZATION"] = callers.key(platform).headers["Authorization"]
    return found


def error(client: FlaskClient, route: str, body: dict[str, Any], status: int) -> dict[str, Any]:
    answer = client.post(f"/api/v1/{route}", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.get_json()["error"]
    return found


@pytest.mark.parametrize("route", ROUTES)
def test_a_request_that_names_no_model_where_there_are_several_is_told_which(asks: FlaskClient, route: str) -> None:
    told = error(asks, route, {"inputs": [GOOD] if route.endswith("batch") else GOOD}, 422)
    assert (told["code"], told["details"]["field"], told["links"]) == ("INVALID_INPUT", "model", ALL)
    there = {model["name"] for model in asks.get("/api/v1/models").get_json()["models"]}
    count, _, names = told["details"]["issue"].partition("There are ")[2].partition(": ")
    named = set(names.split(", ")) - {"…"}
    assert (int(count), len(named)) == (len(there), min(len(there), 10))
    assert named <= there


@pytest.mark.parametrize("route", ROUTES)
def test_a_wrong_name_leads_to_the_models_and_a_wrong_version_to_its_model(asks: FlaskClient, route: str) -> None:
    inputs = [GOOD] if route.endswith("batch") else GOOD
    told = error(asks, route, {"model": "sentimnt", "inputs": inputs}, 404)
    assert (told["code"], told["links"]) == ("MODEL_NOT_FOUND", ALL)
    assert "did you mean sentiment?" in told["details"]["issue"]
    told = error(asks, route, {"model": "sentiment", "model_version": "1.1.0", "inputs": inputs}, 404)
    assert (told["code"], told["links"]) == ("MODEL_VERSION_NOT_FOUND", {"model": "/api/v1/models/sentiment"})
    assert "did you mean 2.1.0 or 1.0.0?" in told["details"]["issue"]


@pytest.mark.parametrize(
    ("route", "body"),
    [("predict", {"inputs": {"txt": "a"}}), ("predict", {"inputs": {"text": 5}}), ("predict", {"inputs": "a"}),
     ("predict/batch", {"inputs": [GOOD, {}]}), ("jobs", {"inputs": [{}]}), ("jobs", {"inputs": {}})],
)  # fmt: skip
def test_inputs_that_a_version_does_not_take_lead_to_what_it_takes(
    asks: FlaskClient, route: str, body: dict[str, Any]
) -> None:
    told = error(asks, route, {"model": "sentiment", **body}, 422)
    assert told["links"] == SENTIMENT
    assert "input_schema" in asks.get(told["links"]["schema"]).get_json()


@pytest.mark.parametrize("route", ROUTES)
def test_rows_for_a_model_that_takes_files_lead_to_what_it_takes(asks: FlaskClient, route: str) -> None:
    inputs = [GOOD] if route.endswith("batch") else GOOD
    assert error(asks, route, {"model": "speech", "inputs": inputs}, 422)["links"] == SPEECH


def test_a_file_that_is_none_for_the_model_leads_to_what_it_takes(asks: FlaskClient) -> None:
    made = asks.post("/api/v1/uploads", json={"content_type": "audio/flac", "size": 1}).get_json()
    told = error(asks, "jobs", {"model": "sentiment", "upload_id": made["upload_id"]}, 422)
    assert (told["details"]["field"], told["links"]) == ("upload_id", SENTIMENT)


def test_what_has_nothing_to_do_with_the_model_leads_nowhere(asks: FlaskClient) -> None:
    for body in ({"expires_in_s": 10**9}, {"more": 1}):
        assert "links" not in error(asks, "jobs", {"model": "sentiment", "inputs": GOOD, **body}, 422)


def test_a_model_that_is_looked_for_by_a_wrong_name_is_told_what_was_meant(asks: FlaskClient) -> None:
    for path, told in (("sentimnt", "sentiment"), ("sentiment/versions/1.1.0", "2.1.0 or 1.0.0")):
        answer = asks.get(f"/api/v1/models/{path}")
        assert answer.status_code == 404
        assert f"did you mean {told}?" in answer.get_json()["error"]["details"]["issue"]
