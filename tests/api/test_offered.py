"""What of predictions that are made at once is offered to shadows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

import api
from core import errors
from registry.judging.witness import Sight
from tests import callers
from tests.changed import changed
from tests.conftest import Platform

PREDICT, BATCH = "/api/v1/predict", "/api/v1/predict/batch"
GOOD, BAD = {"text": "Lovely"}, {"x": -9, "y": 1}
Offered = list[tuple[list[Any], list[Any], bool]]


def listening(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """Rows, what was said to each, and whether it is told how long that took."""
    found: Offered = []

    def offer(_mirrors: object, _asked: object, rows: list[Any], said: list[Any], ms: float | None = None) -> None:
        found.append((rows, said, ms is not None))

    monkeypatch.setattr(app.extensions["coatcheck"].serving.shadows, "offer", offer)
    return found


@pytest.fixture
def keeping(platform: Platform) -> Iterator[FlaskClient]:
    """Of an API that keeps answers."""
    made = api.create_app(changed(platform.settings, cache_mb=1))
    client = made.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {callers.key(platform).token}"
    yield client
    made.extensions["coatcheck"].close()


def test_how_long_it_took_is_told_of_an_answer_that_was_made_and_made_alone(
    keeping: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = listening(keeping.application, monkeypatch)
    body = {"inputs": GOOD, "options": {"cache": True}}
    for _ in range(2):
        assert keeping.post(PREDICT, json=body).status_code == 200
    for rows in ([{"text": "Fine"}], [{"text": "Good"}, {"text": "Bad"}]):
        assert keeping.post(BATCH, json={"inputs": rows}).status_code == 200
    assert [(len(rows), len(said), timed) for rows, said, timed in found] == [
        (1, 1, True), (1, 1, False), (1, 1, True), (2, 2, False),
    ]  # fmt: skip


def test_what_the_stable_version_cannot_answer_is_offered_as_that(
    app: flask.Flask, client: FlaskClient, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = listening(app, monkeypatch)
    for path, inputs in ((PREDICT, BAD), (BATCH, [BAD, BAD])):
        assert client.post(path, json={"model": failing, "inputs": inputs}).status_code == 422
    assert [([*map(dict, rows)], [type(one) for one in said], timed) for rows, said, timed in found] == [
        ([BAD], [errors.ModelError], False), ([BAD, BAD], [errors.ModelError] * 2, False),
    ]  # fmt: skip


def test_what_a_version_on_trial_cannot_answer_is_seen_however_errors_are_told(
    app: flask.Flask, client: FlaskClient, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sight] = []
    witness = app.extensions["coatcheck"].serving.witness
    monkeypatch.setattr(witness, "watches", lambda *_: True)
    monkeypatch.setattr(witness, "add", seen.append)
    good = {"x": 2, "y": 1}
    for path, inputs, options in (
        (PREDICT, good, {}), (PREDICT, BAD, {}), (BATCH, [good, BAD], {"return_errors": "individual"}),
    ):  # fmt: skip
        client.post(path, json={"model": failing, "inputs": inputs, "options": options})
    assert [(item.model, item.route, item.code, item.run_s is not None) for item in seen] == [
        (failing, "stable", None, True), (failing, "stable", "MODEL_ERROR", False),
        (failing, "stable", "MODEL_ERROR", False),
    ]  # fmt: skip
