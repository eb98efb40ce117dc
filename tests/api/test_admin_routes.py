"""Who gets which version of a model, seen and changed over HTTP by who administers."""

from __future__ import annotations

import uuid

import pytest
from flask.testing import FlaskClient

from access import keys
from inference import bundle
from registry import routing
from tests import callers, graphs
from tests.conftest import Platform, until


@pytest.fixture
def model(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of two versions."""
    name = f"m{uuid.uuid4().hex}"
    for version in ("1.0.0", "2.0.0"):
        folder = graphs.bundle(tmp_path_factory.mktemp("bundle") / name, name=name, version=version)
        platform.catalog.publish(bundle.load(folder))
    return name


@pytest.fixture
def admin(platform: Platform, client: FlaskClient) -> FlaskClient:
    key = callers.key(platform, scopes=(keys.ADMIN, "predict"))
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    return client


def test_whoever_looks_waits_for_nobody_who_changes_something(
    platform: Platform, admin: FlaskClient, model: str
) -> None:
    with platform.engine.begin() as connection:
        routing.held(connection, model)
        # Else it would be 503 after a while.
        assert admin.get(f"/api/v1/admin/routes/{model}").status_code == 200


def test_parts_are_changed_and_hold_and_the_rest_stays(admin: FlaskClient, model: str) -> None:
    address = f"/api/v1/admin/routes/{model}"
    trial = {"name": "next", "version": "2.0.0", "percent": 100}
    assert admin.patch(address, json={"canaries": [trial], "aliases": {"old": "1.0.0"}}).status_code == 200

    def route() -> str:
        answer = admin.post("/api/v1/predict", json={"model": model, "inputs": {"x": 2, "y": 1}})
        return answer.headers["X-Model-Route"]

    until(lambda: route() == "canary next")
    shown = admin.get(address).get_json()
    assert (shown["stable"], shown["aliases"], shown["by"]) == ("1.0.0", {"old": "1.0.0"}, "request")
    assert [(item["name"], item["percent"]) for item in shown["canaries"]] == [("next", 100)]
    promoted = admin.patch(address, json={"stable": "2.0.0", "canaries": []}).get_json()
    assert (promoted["stable"], promoted["canaries"], promoted["aliases"]) == ("2.0.0", [], {"old": "1.0.0"})
    until(lambda: route() == "stable")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"canaries": [{"name": "next", "version": "9.0.0", "percent": 1}]}, 422, "canary next"),
        ({"canaries": [{"name": "next", "version": "2.0.0", "percent": 101}]}, 422, "canaries.0.percent"),
        ({"canaries": [{"name": "next", "version": "2.0.0"}]}, 422, "canaries.0.percent"),
        ({"stable": "x"}, 422, "stable"),
        ({"aliases": {"1": "1.0.0"}}, 422, None),
        ({"canaries": [{"name": "next", "version": "1.0.0", "percent": 1}]}, 409, None),
    ],
)
def test_what_cannot_be_honoured_is_refused_and_changes_nothing(
    admin: FlaskClient, model: str, body: dict[str, object], status: int, field: str | None
) -> None:
    address = f"/api/v1/admin/routes/{model}"
    before = admin.get(address).get_json()
    answer = admin.patch(address, json=body)
    assert answer.status_code == status, answer.text
    if field is not None:
        assert answer.get_json()["error"]["details"]["field"] == field
    assert admin.get(address).get_json() == before
