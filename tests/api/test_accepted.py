"""What a client accepts chooses the version of the API where the address names none (RFC 9110 §12.5.1)."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api import EDITIONS, accepted
from tests.api.world import GOOD, ONCE
from tests.conftest import Platform
from tests.statements import digest

pytestmark = pytest.mark.usefixtures("quiet")
V1, V2 = (edition.media_type for edition in EDITIONS)
JSON, PROBLEM = "application/json", "application/problem+json"


def version(answer: TestResponse) -> str:
    return "v2" if isinstance(answer.get_json()["model"], dict) else "v1"


@pytest.mark.parametrize(
    ("accept", "answered", "kind"),
    [
        (None, "v1", JSON),
        ("", "v1", JSON),
        ("*/*", "v1", JSON),
        ("application/*", "v1", JSON),
        (JSON, "v1", JSON),
        (f"{JSON}; charset=utf-8", "v1", JSON),
        (V1, "v1", V1),
        (V2, "v2", V2),
        (V2.upper(), "v2", V2),
        (f"{V2};charset=UTF-8", "v2", V2),
        (f"{V2}, */*", "v2", V2),
        (f"*/*, {V2}", "v2", V2),
        (f"{V2};q=0.5, {JSON}", "v1", JSON),
        (f"{V2};q=0.5, {JSON};q=0.4", "v2", V2),
        (f"{V2};q=0, */*", "v1", JSON),
        (f"{JSON};q=0, {V1};q=0, */*", "v2", V2),
        (f"application/vnd.coatcheck.v9+json, {V2};q=0.1", "v2", V2),
        ("application/vnd.coatcheck.v9+json, */*;q=0.1", "v1", JSON),
        (f"text/html, {V2};q=0.001", "v2", V2),
    ],
)
def test_at_an_address_without_a_version_what_is_accepted_most_is_answered(
    client: FlaskClient, accept: str | None, answered: str, kind: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = client.post("/api/predict", json={"inputs": GOOD}, headers=headers)
    assert (answer.status_code, version(answer), answer.mimetype) == (200, answered, kind)
    assert answer.headers.getlist("Vary") == ["Accept"]
    assert (
        client.get(f"/api/{answered}/jobs").status_code == client.get("/api/jobs", headers=headers).status_code == 200
    )


@pytest.mark.parametrize("path", ["/api/v2", "/api/v2/", "/api/v9", "/api/v9/jobs", "/api/v10/jobs", "/api/v22"])
def test_an_address_that_names_v2_or_none_that_is_there_is_refused_as_v2_does(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype, answer.get_json()["status"]) == (404, PROBLEM, 404)


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/vx", "/nothing"])
def test_any_other_address_without_a_route_is_refused_as_v1_does(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, JSON)
    assert answer.get_json()["error"]["code"] == "NOT_FOUND"


NOTHING = [
    "application/vnd.coatcheck.v9+json", "text/html", "image/*", "*/*;q=0", f"{JSON};q=0", f"{V2};q=0",
    f"{V2};q=0, text/html", f"{V2};version=3", "nonsense", ";;;", f"{V2};q=2", "text/csv", "text/event-stream",
]  # fmt: skip


@pytest.mark.parametrize("accept", NOTHING)
@pytest.mark.parametrize("path", ["/api/predict", "/api/v2/predict", "/api/jobs", "/api/v2/jobs"])
def test_who_accepts_nothing_of_what_there_is_is_told_what_there_is_and_nothing_is_done(
    platform: Platform, client: FlaskClient, path: str, accept: str
) -> None:
    before = digest(platform)
    answer = client.post(path, json={"inputs": GOOD}, headers={"Accept": accept, **ONCE})
    problem = answer.get_json()
    assert (answer.status_code, answer.mimetype, problem["code"]) == (406, PROBLEM, "NOT_ACCEPTABLE")
    assert {kind in problem["detail"] for kind in (JSON, V2)} == {True}
    assert answer.headers.getlist("Vary") == ["Accept"]
    assert digest(platform) == before


@pytest.mark.parametrize("accept", [*NOTHING, V2])
def test_the_first_version_never_minds_at_its_own_address(client: FlaskClient, accept: str) -> None:
    answer = client.post("/api/v1/predict", json={"inputs": GOOD}, headers={"Accept": accept})
    assert (answer.status_code, version(answer), answer.mimetype) == (200, "v1", JSON)
    assert "Vary" not in answer.headers


def test_an_address_that_names_a_version_is_that_version_by_either_name_of_its_type(client: FlaskClient) -> None:
    for accept, kind in ((None, JSON), (JSON, JSON), (V2, V2), ("*/*", JSON)):
        headers = {} if accept is None else {"Accept": accept}
        answer = client.post("/api/v2/predict", json={"inputs": GOOD}, headers=headers)
        assert (answer.status_code, version(answer), answer.mimetype) == (200, "v2", kind)
    assert client.get("/api/v2/jobs", headers={"Accept": V1}).status_code == 406


def test_a_refusal_is_in_the_words_of_the_version_that_was_chosen(client: FlaskClient) -> None:
    for path in ("/api/jobs/job_nope", "/api/nothing"):
        problem = client.get(path, headers={"Accept": V2})
        assert (problem.status_code, problem.mimetype, problem.get_json()["status"]) == (404, PROBLEM, 404)
        envelope = client.get(path, headers={"Accept": V1})
        assert (envelope.status_code, set(envelope.get_json())) == (404, {"error"})
    assert client.get("/api/v9/jobs", headers={"Accept": V2}).status_code == 404


def test_what_else_a_route_answers_with_may_be_asked_for_in_either_version(client: FlaskClient) -> None:
    for path in ("/api/usage", "/api/v2/usage"):
        assert client.get(path, headers={"Accept": "text/csv"}).mimetype == "text/csv"
        both = client.get(path, headers={"Accept": f"{V2}, text/csv;q=0.5"})
        assert (both.mimetype, "items" in both.get_json()) == (V2, True)
        assert both.headers.getlist("Vary") == ["Accept"]
        assert client.get(path, headers={"Accept": f"{V2};q=0.5, text/csv"}).mimetype == "text/csv"
    made = client.post("/api/jobs", json={"inputs": GOOD}, headers={"Accept": V2})
    assert made.headers["Location"].startswith("/api/v2/jobs/")
    client.post(f"{made.headers['Location']}/cancel")
    for accept in (V2, "text/event-stream"):
        with client.get(f"{made.headers['Location']}/events", headers={"Accept": accept}) as stream:
            assert (stream.status_code, stream.mimetype) == (200, "text/event-stream")


def test_the_contract_names_all_that_routes_answer_with_beside_json(client: FlaskClient) -> None:
    said = {
        kind
        for item in client.get("/openapi/v2.json").get_json()["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
        for answer in operation["responses"].values()
        for kind in answer.get("content", {})
    }
    assert said - {JSON} == {kind for kinds in accepted.ALSO.values() for kind in kinds}
