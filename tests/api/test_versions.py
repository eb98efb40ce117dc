"""Several versions of a model at once, as clients see them: each answer says which it is of and why, truly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core import audit
from core.audit import Actor
from inference import bundle
from registry import lifecycle, routing
from registry.routes import part
from tests import factories, graphs
from tests.conftest import Platform

PREDICT, BATCH, JOBS = "/api/v1/predict", "/api/v1/predict/batch", "/api/v1/jobs"
XY = {"x": 2, "y": 1}
CANARY = {"name": "next", "version": "2.1.0", "percent": 30}
TONE = {
    "name": "tone", "percent": 100,
    "variants": [{"name": "a", "version": "1.0.0", "weight": 1}, {"name": "b", "version": "2.1.0", "weight": 1}],
}  # fmt: skip

Route = Callable[..., None]
Ask = Callable[..., TestResponse]


@pytest.fixture
def name(platform: Platform, tmp_path: Path) -> Iterator[str]:
    """A model with two versions, of which the first is stable."""
    found = factories.unique("split").lower()
    for version in ("1.0.0", "2.1.0"):
        platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / version, name=found, version=version)))
    yield found
    platform.execute("DELETE FROM jobs WHERE model = :name", name=found)
    platform.execute("DELETE FROM models WHERE name = :name", name=found)


@pytest.fixture
def route(platform: Platform, app: flask.Flask, name: str) -> Route:
    """Changes its routes, which the API knows once this returns."""

    def change(**raw: Any) -> None:
        with platform.engine.begin() as connection:
            routing.change(connection, name, raw, Actor("cli:test"))
        app.extensions["coatcheck"].catalog._forget()

    return change


@pytest.fixture
def ask(client: FlaskClient, name: str) -> Ask:
    """What the model is asked, in one of the ways that there are."""

    def post(path: str = PREDICT, body: Mapping[str, Any] | None = None, **headers: str) -> TestResponse:
        inputs = [XY] if path.endswith("batch") else XY
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        return client.post(path, json={"model": name, "inputs": inputs, **(body or {})}, headers=given)

    return post


def served(answer: TestResponse) -> tuple[str, str]:
    return answer.headers["X-Model-Version"], answer.headers["X-Model-Route"]


def test_a_canary_has_its_share_of_the_requests_and_what_is_said_of_each_is_true(
    name: str, route: Route, ask: Ask
) -> None:
    route(canaries=[CANARY])
    counts: Counter[str] = Counter()
    for number in range(400):
        answer = ask(X_Request_ID=f"req-{number}")
        version, why = served(answer)
        taken = part(name, "next", f"req-{number}") < 0.3
        assert (version, why) == (("2.1.0", "canary next") if taken else ("1.0.0", "stable"))
        assert answer.get_json()["model_version"] == version
        counts[why] += 1
    assert 75 <= counts["canary next"] <= 165  # five standard deviations


def test_who_pins_a_version_gets_it_whatever_the_rules_say(route: Route, ask: Ask) -> None:
    route(canaries=[{**CANARY, "percent": 100}], aliases={"champion": "1.0.0"})
    for asked in ("1.0.0", "v1", "1.0", "champion"):
        answers = [ask(X_Model_Version=asked), ask(BATCH, {"model_version": asked}), ask(JOBS, X_Model_Version=asked)]
        assert {served(answer) for answer in answers} == {("1.0.0", "pinned")}
    assert {served(ask(path)) for path in (PREDICT, BATCH, JOBS)} == {("2.1.0", "canary next")}


@pytest.mark.parametrize(("header", "body"), [("1.0.0", "2.1.0"), ("v2", "2.1"), ("champion", "1.0.0")])
def test_two_pins_that_are_not_the_same_are_refused(ask: Ask, header: str, body: str) -> None:
    answer = ask(body={"model_version": body}, X_Model_Version=header)
    assert (answer.status_code, answer.get_json()["error"]["details"]["field"]) == (422, "model_version")


def test_in_an_experiment_everybody_keeps_their_variant_and_a_route_key_says_on_whose_behalf(
    route: Route, ask: Ask
) -> None:
    route(by="caller", experiments=[TONE])
    assert len({served(ask()) for _ in range(10)}) == 1
    seen = {}
    for user in range(40):
        (seen[user],) = {served(ask(path, X_Route_Key=f"user {user}")) for path in (PREDICT, PREDICT, JOBS)}
    assert set(seen.values()) == {("1.0.0", "experiment tone/a"), ("2.1.0", "experiment tone/b")}


@pytest.mark.parametrize("key", ["", "x" * 129, "caf\xe9", "a\tb"])
def test_a_route_key_that_is_none_is_refused(ask: Ask, key: str) -> None:
    answer = ask(X_Route_Key=key)
    assert (answer.status_code, answer.get_json()["error"]["details"]["field"]) == (422, "X-Route-Key")
    assert ask(X_Route_Key="x" * 128).status_code == 200


def test_a_job_keeps_the_version_that_it_got_when_it_was_handed_in_and_so_does_its_repetition(
    platform: Platform, client: FlaskClient, route: Route, ask: Ask, name: str
) -> None:
    route(canaries=[{**CANARY, "percent": 100}])
    made = ask(JOBS)
    route()
    assert served(made) == ("2.1.0", "canary next")
    assert client.get(made.headers["Location"]).get_json()["model_version"] == "2.1.0"
    client.post(f"{made.headers['Location']}/cancel")
    again = client.post(f"{made.headers['Location']}/retry")
    assert again.headers["X-Model-Version"] == "2.1.0"
    rows = platform.rows("SELECT version, route FROM jobs WHERE model = :name", name=name)
    assert rows == [("2.1.0", "canary next")] * 2


def test_what_was_answered_under_an_idempotency_key_is_answered_again_though_the_rules_have_changed(
    route: Route, ask: Ask
) -> None:
    first = ask(Idempotency_Key='"once"')
    route(canaries=[{**CANARY, "percent": 100}])
    again = ask(Idempotency_Key='"once"')
    assert (served(again), again.get_json()) == (served(first), first.get_json())


def test_a_version_that_was_removed_is_410_with_what_to_use(
    platform: Platform, app: flask.Flask, client: FlaskClient, ask: Ask, name: str
) -> None:
    lifecycle.remove(platform.engine, name, "2.1.0", audit.operator())
    app.extensions["coatcheck"].catalog._forget()
    answers = [ask(path, {"model_version": "2.1.0"}) for path in (PREDICT, BATCH, JOBS)]
    for answer in (*answers, client.get(f"/api/v1/models/{name}/versions/2.1.0")):
        error = answer.get_json()["error"]
        assert (answer.status_code, error["code"]) == (410, "MODEL_VERSION_RETIRED")
        assert error["details"]["issue"] == f"{name} 2.1.0 was removed; use 1.0.0"
