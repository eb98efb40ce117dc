"""What clients write in another way than we do, and mean the same."""

from __future__ import annotations

import datetime as dt

import pytest
from flask.testing import FlaskClient

from jobs import content_types
from tests.conftest import Platform


def job_of(client: FlaskClient) -> dict[str, str]:
    made = client.post("/api/v1/jobs", json={"inputs": {"text": "x"}}).get_json()
    return client.get(f"/api/v1/jobs/{made['job_id']}").get_json()


def moments(at: dt.datetime) -> list[str]:
    """As our answers, JavaScript, shells, SQL and people write one."""
    utc = at.astimezone(dt.UTC)
    return [
        utc.isoformat(),
        utc.isoformat().replace("+", "%2B"),
        utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        utc.strftime("%Y-%m-%d %H:%M:%S+00:00").replace(" ", "%20"),
        utc.strftime("%Y-%m-%d+%H:%M:%S+00:00"),
        at.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30))).isoformat(),
        at.astimezone(dt.timezone(dt.timedelta(hours=-8))).isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%dT%H:%M+00:00"),
        utc.strftime("%Y-%m-%dT%H:%M:%S+0000"),
    ]


def test_a_moment_in_a_query_may_be_written_as_in_answers_and_in_browsers(client: FlaskClient) -> None:
    job = job_of(client)
    at = dt.datetime.fromisoformat(job["created_at"])
    for hours, there in ((-1, 1), (1, 0)):
        for text in moments(at + dt.timedelta(hours=hours)):
            answer = client.get(f"/api/v1/jobs?created_after={text}")
            assert (answer.status_code, len(answer.get_json().get("jobs", []))) == (200, there), (text, answer.text)
            before = client.get(f"/api/v1/jobs?created_before={text}").get_json()["jobs"]
            assert len(before) == 1 - there, text
    failed = client.get("/api/v1/jobs/job_nope").get_json()["error"]["timestamp"]
    assert client.get(f"/api/v1/jobs?created_before={failed}").status_code == 200


@pytest.mark.parametrize(
    "text", ["2026-11-25", "2026-11-25T23:00:00", "1764111600", "2026-11-25T23:00:00 00", "yesterday"]
)
def test_a_moment_without_a_zone_is_refused_and_the_sentence_shows_one_that_is_not(
    client: FlaskClient, text: str
) -> None:
    answer = client.get("/api/v1/jobs", query_string={"created_after": text})
    assert answer.status_code == 422
    assert "2026-01-31T12:00:00Z" in answer.get_json()["error"]["details"]["issue"]


@pytest.mark.parametrize(
    ("said", "filename", "taken"),
    [
        *((name, "", ours) for ours, names in content_types.NAMES.items() for name in (ours, *names)),
        ("text/csv; charset=utf-8", "", "text/csv"),
        ("Text/CSV;header=present", "", "text/csv"),
        ("application/vnd.ms-excel", "rows.csv", "text/csv"),  # Windows with Excel
        ("", "rows.jsonl", "application/x-ndjson"),  # what a browser says of a file that it does not know
        ("application/octet-stream", "ROWS.JSONL.GZ", "application/gzip"),
        ("application/octet-stream", "talk.flac", "audio/flac"),
        ("text/plain", "rows.ndjson", "application/x-ndjson"),
        ("", "rows.tsv", "text/csv"),
    ],
)
def test_a_type_may_be_said_by_any_of_its_names(client: FlaskClient, said: str, filename: str, taken: str) -> None:
    body = {"content_type": said, "size": 10, **({"filename": filename} if filename else {})}
    made = client.post("/api/v1/uploads", json=body)
    assert made.status_code == 201, made.text
    answer = made.get_json()
    assert (answer["content_type"], answer["fields"]["Content-Type"]) == (taken, taken)


@pytest.mark.parametrize(
    ("said", "filename"),
    [
        ("application/vnd.ms-excel", "rows.xls"),
        ("application/octet-stream", ""),
        ("", "rows"),
        ("video/mp4", "a.wav"),
        ("text/csv/x", ""),
        (";", ""),
        ("application/zip", "rows.jsonl"),
    ],
)
def test_a_type_that_nothing_takes_is_refused_with_those_that_are_taken(
    client: FlaskClient, said: str, filename: str
) -> None:
    body = {"content_type": said, "size": 10, **({"filename": filename} if filename else {})}
    answer = client.post("/api/v1/uploads", json=body)
    assert answer.status_code == 422
    details = answer.get_json()["error"]["details"]
    assert details["field"] == "content_type"
    assert all(name in details["issue"] for name in content_types.TYPES)


def test_an_explanation_that_a_model_has_not_is_refused_by_the_word_that_was_sent(client: FlaskClient) -> None:
    for level, word in ((True, "'true'"), ("simple", "'simple'")):
        body = {"model": "speech", "upload_id": "up_1", "options": {"explain": level}}
        details = client.post("/api/v1/jobs", json=body).get_json()["error"]["details"]
        assert details["field"] == "options.explain"
        assert details["issue"].startswith(f"{word} is not offered by speech")
    for level, issue in (("shap", "'shap' is not offered by sentiment"), ("lime", "must be true, false or one of: s")):
        answer = client.post(f"/api/v1/predict?explain={level}", json={"inputs": {"text": "x"}})
        assert answer.get_json()["error"]["details"]["issue"].startswith(issue)


@pytest.mark.parametrize("written", ["{key}", "Token {key}", "Basic {key}", "ApiKey {key}", "Bearer={key}"])
def test_a_key_that_is_given_in_another_way_is_told_how(
    anonymous: FlaskClient, platform: Platform, written: str
) -> None:
    _, key = platform.new_tenant()
    answer = anonymous.get("/api/v1/models", headers={"Authorization": written.format(key=key)})
    assert answer.status_code == 401
    assert "Authorization: Bearer cck_" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize(("word", "explained"), [("true", True), ("True", True), ("False", False), ("simple", True)])
def test_a_query_may_say_true_as_python_writes_it(client: FlaskClient, word: str, explained: bool) -> None:
    answer = client.post(f"/api/v1/predict?explain={word}", json={"inputs": {"text": "x"}}).get_json()
    assert ("explanation" in answer) == explained


@pytest.mark.parametrize(
    ("word", "explained"),
    [(True, True), ("true", True), ("True", True), ("simple", True), (False, False), ("false", False),
     ("False", False)],
    ids=repr,
)  # fmt: skip
def test_a_body_may_say_whether_to_explain_as_json_and_as_text(
    client: FlaskClient, word: object, explained: bool
) -> None:
    body = {"inputs": {"text": "x"}, "options": {"explain": word}}
    answer = client.post("/api/v1/predict", json=body)
    assert (answer.status_code, "explanation" in answer.get_json()) == (200, explained)
    job = client.post("/api/v1/jobs", json=body)
    assert job.status_code == 202


@pytest.mark.parametrize("word", [1, 0, "", "TRUE", "yes", "shap", None, [], {}], ids=repr)
def test_what_says_neither_whether_nor_how_to_explain_is_refused_by_name(client: FlaskClient, word: object) -> None:
    body = {"inputs": {"text": "x"}, "options": {"explain": word}}
    for path in ("predict", "jobs"):
        answer = client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 422
        assert answer.get_json()["error"]["details"]["field"] == "options.explain"
