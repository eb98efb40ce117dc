"""Canaries that judge themselves, as clients see them: one that always fails is soon everybody's past."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

from core import errors
from core.audit import Actor
from inference import bundle
from jobs import rescue
from jobs.drain import Drainer
from registry import routing
from registry.catalog import CACHE_S, Catalog
from registry.judging import judge, trials
from registry.judging.trial import SETTLES
from registry.judging.witness import Sight
from registry.routes import Unit
from registry.shelf import bundle_key
from tests import factories, graphs
from tests.conftest import Platform, until

#: Right but where an input is 0: a number that is not finite then.
BROKEN = graphs.graph(
    "quotient = Div (features, features) nothing = Mul (quotient, zero) sum = Add (features, nothing) "
    "probabilities = Softmax <axis = 1> (sum)"
)
ZERO = {"x": 0, "y": 0}


@pytest.fixture
def name(platform: Platform, app: flask.Flask, tmp_path: Path) -> Iterator[str]:
    """A model whose canary, of half of the traffic, fails where an input is 0."""
    found = factories.unique("judged").lower()
    for version, made in (("1.0.0", None), ("2.0.0", BROKEN)):
        folder = graphs.bundle(tmp_path / version, made, name=found, version=version)
        platform.catalog.publish(bundle.load(folder))
    raw = {"canaries": [{"name": "next", "version": "2.0.0", "percent": 50}]}
    with platform.engine.begin() as connection:
        routing.change(connection, found, raw, Actor("cli:test"))
    app.extensions["coatcheck"].catalog._forget()
    yield found
    platform.execute("DELETE FROM jobs WHERE model = :name", name=found)
    platform.execute("DELETE FROM models WHERE name = :name", name=found)


def ended(platform: Platform, name: str) -> trials.Shown | None:
    with platform.engine.connect() as connection:
        found = trials.find(connection, name, "next")
    return None if found.state == trials.RUNNING else found


@pytest.mark.parametrize("path", ["/api/v1/predict", "/api/v1/predict/batch"])
def test_a_canary_that_always_fails_is_rolled_back_and_the_stable_version_answers_everybody_within_a_second(
    platform: Platform, client: FlaskClient, name: str, path: str
) -> None:
    inputs: Any = [ZERO] if path.endswith("batch") else ZERO
    other = Catalog(platform.engine, platform.store)

    def asked() -> bool:
        client.post(path, json={"model": name, "inputs": inputs}, headers={"X-Request-ID": uuid.uuid4().hex})
        return ended(platform, name) is not None

    until(asked)
    begun = time.monotonic()
    units = [Unit(f"req_{number}", "c") for number in range(50)]
    until(lambda: {other.resolve(name, None, unit).route for unit in units} == {"stable"})
    until(lambda: time.monotonic() - begun > CACHE_S)
    answers = [client.post(path, json={"model": name, "inputs": inputs}) for _ in range(20)]
    assert {(item.status_code, item.headers["X-Model-Version"]) for item in answers} == {(200, "1.0.0")}
    found = ended(platform, name)
    assert found is not None
    assert (found.state, found.ended_by) == (trials.ROLLED_BACK, judge.JUDGE.name)
    assert found.evidence["metrics"]["errors"]["stable"] == 0
    assert found.ended_at is not None
    assert found.ended_at > found.since + SETTLES


def test_a_canary_that_cannot_be_opened_is_rolled_back(platform: Platform, client: FlaskClient, name: str) -> None:
    canary = platform.catalog.version(name, "2.0.0")
    platform.store.delete_all(bundle_key(canary.digest))
    refused = []

    def asked() -> bool:
        answer = client.post(
            "/api/v1/predict",
            json={"model": name, "inputs": {"x": 2, "y": 1}},
            headers={"X-Request-ID": uuid.uuid4().hex},
        )
        if answer.status_code != 200:
            refused.append((answer.status_code, answer.headers["X-Model-Version"], answer.headers["X-Model-Route"]))
        return ended(platform, name) is not None

    until(asked)
    assert set(refused) == {(503, "2.0.0", "canary next")}
    found = ended(platform, name)
    assert found is not None
    assert (found.state, found.evidence["metrics"]["errors"]["stable"]) == (trials.ROLLED_BACK, 0)


def test_a_store_that_does_not_answer_is_held_against_nobody(
    platform: Platform, app: flask.Flask, client: FlaskClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.execute("UPDATE canaries SET share_since = share_since - interval '1 h' WHERE model = :name", name=name)

    def asked() -> int:
        headers = {"X-Request-ID": uuid.uuid4().hex}
        return client.post(
            "/api/v1/predict", json={"model": name, "inputs": {"x": 2, "y": 1}}, headers=headers
        ).status_code

    def away(*_: object) -> None:
        raise errors.Unavailable("The object store does not answer")

    client.post("/api/v1/predict", json={"model": name, "model_version": "1.0.0", "inputs": {"x": 2, "y": 1}})
    store = app.extensions["coatcheck"].store
    for does in ("get_file", "head"):
        monkeypatch.setattr(store, does, away)
    until(lambda: [asked() for _ in range(40)].count(503) > 5)
    app.extensions["coatcheck"].serving.witness.flush()
    assert exposed(platform, name)[0] == 0
    assert ended(platform, name) is None


@pytest.mark.parametrize(("rows", "is_timed"), [(1, True), (2, False)])
def test_how_long_it_took_is_held_against_a_version_only_where_one_row_was_asked(
    app: flask.Flask, client: FlaskClient, name: str, monkeypatch: pytest.MonkeyPatch, rows: int, is_timed: bool
) -> None:
    seen: list[Sight] = []
    monkeypatch.setattr(app.extensions["coatcheck"].serving.witness, "add", seen.append)
    asked = {"model": name, "inputs": [{"x": 2, "y": 1}] * rows}
    assert client.post("/api/v1/predict/batch", json=asked).status_code == 200
    assert [item.run_s is not None for item in seen] == [is_timed]


@pytest.mark.parametrize("path", ["/api/v1/predict", "/api/v2/predict", "/api/v1/predict/batch", "/api/v1/jobs"])
def test_whoever_gets_no_answer_is_told_of_which_version_and_why_it_was_that(client: FlaskClient, path: str) -> None:
    inputs: Any = {"text": ""}
    body = {"model": "sentiment", "model_version": "1", "inputs": [inputs] if path.endswith("batch") else inputs}
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert (answer.headers["X-Model-Version"], answer.headers["X-Model-Route"]) == ("1.0.0", "pinned")


def test_where_no_version_was_asked_none_is_told(client: FlaskClient) -> None:
    answer = client.post("/api/v1/predict", json={"model": "nothing", "inputs": {}})
    assert answer.status_code == 404
    assert "X-Model-Version" not in answer.headers


@pytest.fixture
def canary_job(platform: Platform, client: FlaskClient, name: str) -> str:
    """A job that the canary is to do and cannot, of a time when everybody knew of it."""
    platform.execute("UPDATE canaries SET share_since = share_since - interval '1 h' WHERE model = :name", name=name)
    for _ in range(100):
        headers = {"X-Request-ID": uuid.uuid4().hex}
        made = client.post("/api/v1/jobs", json={"model": name, "inputs": ZERO}, headers=headers)
        job_id = str(made.get_json()["job_id"])
        if made.headers["X-Model-Route"] == "canary next":
            return job_id
        client.post(f"/api/v1/jobs/{job_id}/cancel")
    raise AssertionError("no request went to the canary")


def exposed(platform: Platform, name: str) -> tuple[int, int]:
    """How many errors of the canary there were, among how many of its requests."""
    with platform.engine.connect() as connection:
        evidence = trials.find(connection, name, "next").evidence
    return evidence["metrics"]["errors"]["canary"], evidence["exposed"]["canary"]


def test_a_job_that_is_given_back_since_the_version_cannot_be_fetched_is_held_against_nobody(
    platform: Platform, drainer: Drainer, name: str, canary_job: str
) -> None:
    platform.store.delete_all(bundle_key(platform.catalog.version(name, "2.0.0").digest))
    drainer.drain("cpu", "wake")
    told = "SELECT status, started_at IS NOT NULL FROM jobs WHERE model = :name AND status <> 'canceled'"
    assert platform.rows(told, name=name) == [("pending", True)]
    platform.witness.flush()
    with platform.engine.connect() as connection:
        assert trials.find(connection, name, "next").evidence == {}


def test_a_job_that_the_canary_fails_is_held_against_it_once_and_one_made_by_retrying_it_is_not(
    platform: Platform, client: FlaskClient, drainer: Drainer, name: str, canary_job: str
) -> None:
    drainer.drain("cpu", "wake")
    platform.witness.flush()
    assert exposed(platform, name) == (1, 1)
    assert client.post(f"/api/v1/jobs/{canary_job}/retry").status_code == 202
    drainer.drain("cpu", "wake")
    platform.witness.flush()
    assert exposed(platform, name) == (1, 1)


def test_a_job_that_the_canary_has_lost_its_workers_by_is_held_against_it(
    platform: Platform, quiet: None, name: str, canary_job: str
) -> None:
    platform.execute(
        "UPDATE jobs SET status = 'processing', attempt = 1, worker = 'gone', started_at = now(), "
        "lease_expires_at = now() - interval '1 s' WHERE model = :name AND status = 'pending'",
        name=name,
    )
    assert rescue.lease_over(platform.engine, max_losses=1) == 1
    assert exposed(platform, name) == (1, 1)
