"""What GraphQL tells of faults, of ends, of use and of parts, to the last word."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

import models
from core import audit
from inference import bundle
from registry import lifecycle
from tests import callers, factories, graphs
from tests.conftest import Platform, until


def ask(client: FlaskClient, query: str, **variables: object) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.get_json()["data"]


def refused(client: FlaskClient, query: str) -> list[dict[str, Any]]:
    answer = client.post("/graphql", json={"query": query})
    assert answer.status_code == 400, answer.text
    return list(answer.get_json()["errors"])


def test_of_many_faults_ten_are_told_each_with_its_place_and_in_part(client: FlaskClient) -> None:
    told = refused(client, "{\n" + " ".join(f"{'f' * 400}{number}" for number in range(30)) + " }")
    assert len(told) == 10
    assert {len(error["message"]) for error in told} == {300}
    assert [error["locations"] for error in told[:2]] == [[{"line": 2, "column": 1}], [{"line": 2, "column": 403}]]
    (error,) = refused(client, "{ models { next ")
    assert error["message"].startswith("Syntax Error: ")
    assert error.keys() == {"message", "locations", "extensions"}


def test_a_thousand_words_and_signs_are_read_and_one_more_is_not(client: FlaskClient) -> None:
    words = "".join(f" a{number}: __typename" for number in range(332))
    assert len(ask(client, f"{{ {words} __typename __typename }}")) == 333
    (error,) = refused(client, f"{{ {words} __typename __typename __typename }}")
    assert "more than 1000 tokens" in error["message"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"variables": None, "operationName": None, "extensions": None}, 200),
        ({"extensions": {"of": "a client"}}, 200),
        ({"operationName": "a" * 200}, 400),
        ({"operationName": "a" * 201}, 422),
        ({"extensions": []}, 422),
    ],
    ids=["null", "extensions", "a name", "a long name", "odd extensions"],
)
def test_what_stands_beside_a_query_may_be_null_and_has_its_bounds(
    client: FlaskClient, more: dict[str, Any], status: int
) -> None:
    answer = client.post("/graphql", json={"query": "{ models { next } }", **more})
    assert answer.status_code == status, answer.text
    assert (status == 200) == ("data" in answer.get_json())


def test_a_part_of_versions_and_of_models_may_be_one(client: FlaskClient) -> None:
    found = ask(client, '{ model(name: "sentiment") { versions(first: 1) { version } } models(first: 1) { next } }')
    assert found["model"]["versions"] == [{"version": "2.1.0"}]
    assert found["models"]["next"]


def test_what_was_used_in_the_last_thirty_days_counts(platform: Platform, app: flask.Flask) -> None:
    key = callers.key(platform)
    tenant = platform.one("SELECT id FROM tenants WHERE name = :name", name=key.tenant)[0]
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for days, units in ((0, 1), (29, 10), (30, 100)):
        at = {"created_at": today - dt.timedelta(days)}
        factories.add(platform, models.Usage, tenant_id=tenant, version="1.0.0", units=units, price="0.50", **at)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    found = ask(client, '{ model(name: "sentiment") { stable { usage { calls units price } } } }')
    assert found["model"]["stable"]["usage"] == {"calls": 2, "units": 11, "price": "1"}


@pytest.fixture
def own(platform: Platform, tmp_path: Path) -> Iterator[str]:
    """A model of tags in two versions, of which the first is stable."""
    name = factories.unique("told").lower()
    golden = [{"inputs": {"x": 0.75, "y": 0.25}, "tags": {"a": 0.75}}]
    made = graphs.graph("probabilities = Identity (features)")
    for version in ("1.0.0", "2.0.0"):
        says = {"labels": None, "tags": ["a", "b"], "golden": golden, "version": version}
        platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / version, made, name=name, **says)))
    yield name
    platform.execute("DELETE FROM model_versions WHERE model = :name", name=name)
    platform.execute("DELETE FROM models WHERE name = :name", name=name)


def test_a_version_on_its_way_out_is_told_with_its_moments_in_utc_and_tags_are_labels(
    platform: Platform, client: FlaskClient, own: str
) -> None:
    query = """query ($name: String!) { model(name: $name) {
      versions { version labels deprecation { at message sunsetAt } } } }"""
    two = dt.timezone(dt.timedelta(hours=2))
    ends: dict[str, Any] = {"message": "Use 1.0.0", "sunset_at": dt.datetime(2027, 5, 1, 2, tzinfo=two)}
    lifecycle.deprecate(platform.engine, own, "2.0.0", audit.operator(), **ends)

    def told() -> Any:
        found = ask(client, query, name=own)["model"]
        return found and found["versions"][0]["deprecation"] and found["versions"]

    new, old = until(told)
    rest = client.get(f"/api/v1/models/{own}/versions/2.0.0").get_json()
    since = dt.datetime.fromisoformat(rest["deprecated_at"]).astimezone(dt.UTC)
    assert new["deprecation"] == {
        "at": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "message": "Use 1.0.0", "sunsetAt": "2027-05-01T00:00:00Z",
    }  # fmt: skip
    assert (old["version"], old["deprecation"], old["labels"]) == ("1.0.0", None, ["a", "b"])
    lifecycle.undo(platform.engine, own, "2.0.0", audit.operator())
    lifecycle.deprecate(platform.engine, own, "2.0.0", audit.operator(), message=None, sunset_at=None)
    until(lambda: (told() or [{"deprecation": {"sunsetAt": 1}}])[0]["deprecation"]["sunsetAt"] is None)
