from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient

from core import errors, ids
from jobs import settle
from tests.conftest import Platform, until
from tests.hands import took, work

PREDICT = "/api/v1/predict"
GOOD = {"inputs": {"text": "I love this product, it works perfectly!"}}


def test_a_prediction_is_answered_inline(client: FlaskClient) -> None:
    answer = client.post(PREDICT, json=GOOD, headers={"X-Request-ID": "mine-1"})
    assert answer.status_code == 200
    body = answer.get_json()
    assert body == {
        "prediction": "positive",
        "confidence": pytest.approx(0.99, abs=0.01),
        "model": "sentiment",
        "model_version": "1.0.0",
        "request_id": "mine-1",
    }
    assert answer.headers["X-Request-ID"] == "mine-1"
    assert (answer.headers["X-Model-Version"], answer.headers["X-Model-Route"]) == ("1.0.0", "stable")


def test_an_unsure_answer_is_called_uncertain(client: FlaskClient) -> None:
    inputs = {"text": "It was", "confidence_threshold": 0.9}
    assert client.post(PREDICT, json={"inputs": inputs}).get_json()["prediction"] == "uncertain"


def test_simple_explanations_are_the_scores_of_all_labels(client: FlaskClient) -> None:
    found = client.post(f"{PREDICT}?explain=simple", json=GOOD).get_json()["explanation"]
    assert found["method"] == "scores"
    assert sum(found["scores"].values()) == pytest.approx(1, abs=1e-4)


def test_a_pinned_version_answers_and_says_so(client: FlaskClient) -> None:
    answer = client.post(PREDICT, json=GOOD, headers={"X-Model-Version": "v1.0.0"})
    assert (answer.headers["X-Model-Version"], answer.headers["X-Model-Route"]) == ("1.0.0", "pinned")


def test_respond_async_gives_a_ticket(client: FlaskClient) -> None:
    answer = client.post(PREDICT, json=GOOD, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert client.get(answer.headers["Location"]).get_json()["status"] == "pending"
    assert client.post(PREDICT, json={**GOOD, "options": {"async": True}}).status_code == 202


def test_a_bad_item_of_a_batch_spoils_only_itself(client: FlaskClient) -> None:
    body = {"inputs": [GOOD["inputs"], {"text": ""}, {"text": "Awful"}], "options": {"return_errors": "individual"}}
    found = client.post(f"{PREDICT}/batch", json=body).get_json()
    assert (found["count"], found["failed"]) == (3, 1)
    assert found["predictions"][0]["prediction"] == "positive"
    assert found["predictions"][1]["error"]["details"]["field"] == "inputs.1.text"
    assert found["predictions"][2]["prediction"] == "negative"


@pytest.mark.usefixtures("quiet")
def test_a_batch_that_became_a_job_keeps_every_item_in_its_place(client: FlaskClient, platform: Platform) -> None:
    body = {
        "inputs": [{"text": ""}, GOOD["inputs"], {"text": ""}],
        "model_version": "2.1.0",
        "options": {"return_errors": "individual"},
    }
    for preference in ("wait=0", "respond-async"):
        ticket = client.post(f"{PREDICT}/batch", json=body, headers={"Prefer": preference})
        assert (ticket.status_code, ticket.headers["Preference-Applied"]) == (202, preference)
        work(platform)
        found = client.get(f"{ticket.headers['Location']}/result").get_json()["predictions"]
        assert [next(iter(item)) for item in found] == ["error", "prediction", "error"]
        assert found[2]["error"]["details"]["field"] == "inputs.2.text"


def test_the_best_explanation_on_offer_is_what_true_means(client: FlaskClient) -> None:
    found = client.post(PREDICT, json={**GOOD, "options": {"explain": True}}).get_json()["explanation"]
    assert found["method"] == "scores"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(errors.ModelError(), 422, "MODEL_ERROR"), (errors.BundleInvalid(), 500, "JOB_FAILED")],
)
def test_a_job_that_failed_for_no_fault_of_its_input_is_no_fault_of_the_client(
    client: FlaskClient, platform: Platform, error: errors.CoatcheckError, status: int, code: str
) -> None:
    def fail() -> None:
        until(lambda: platform.rows("SELECT FROM jobs"))
        settle.fail(platform.engine, took(platform)[0], error)

    with ThreadPoolExecutor(1) as pool:
        failed = pool.submit(fail)
        answer = client.post(PREDICT, json={**GOOD, "model_version": "2.1.0"}, headers={"Prefer": "wait=20"})
        failed.result()
    told = answer.get_json()["error"]
    assert (answer.status_code, told["code"]) == (status, code)
    assert told["message"] == f"The job ended as failed: {error.message}"
    (job,) = platform.rows("SELECT id FROM jobs")
    assert told["details"] == {"job_id": ids.job_id(job.id), "status": "failed", "code": error.code}


def test_fail_fast_refuses_the_whole_batch(client: FlaskClient) -> None:
    answer = client.post(f"{PREDICT}/batch", json={"inputs": [GOOD["inputs"], {"text": 5}]})
    assert answer.status_code == 422
    assert answer.get_json()["error"]["details"]["field"] == "inputs.1.text"


def test_too_large_a_batch_is_refused_with_the_limit(client: FlaskClient, platform: Platform) -> None:
    answer = client.post(f"{PREDICT}/batch", json={"inputs": [{}] * (platform.settings.api.max_batch_items + 1)})
    assert answer.status_code == 413
    assert answer.get_json()["error"]["code"] == "BATCH_TOO_LARGE"


JSON = {"Content-Type": "application/json"}
BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("malformed", {"data": b'{"inputs": ', "headers": JSON}, 400, "MALFORMED_REQUEST"),
    ("empty body", {"data": b"", "headers": JSON}, 400, "MALFORMED_REQUEST"),
    ("NaN", {"data": b'{"inputs": {"text": NaN}}', "headers": JSON}, 400, "MALFORMED_REQUEST"),
    ("lone surrogate", {"data": b'{"inputs": {"text": "\\ud800"}}', "headers": JSON}, 400, "MALFORMED_REQUEST"),
    ("not UTF-8", {"data": b'{"inputs": {"text": "\xff"}}', "headers": JSON}, 400, "MALFORMED_REQUEST"),
    ("deep", {"data": b'{"inputs":' + b"[" * 5000 + b"]" * 5000 + b"}", "headers": JSON}, 400, "MALFORMED_REQUEST"),
    ("content type", {"data": b"text=hi", "headers": {"Content-Type": "text/plain"}}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("a list", {"json": []}, 422, "INVALID_INPUT"),
    ("no inputs", {"json": {}}, 422, "INVALID_INPUT"),
    ("inputs of a wrong type", {"json": {"inputs": "hello"}}, 422, "INVALID_INPUT"),
    ("unknown field", {"json": {**GOOD, "colour": 1}}, 422, "INVALID_INPUT"),
    ("unknown input", {"json": {"inputs": {"text": "a", "colour": 1}}}, 422, "INVALID_INPUT"),
    ("unknown query", {"json": GOOD, "query_string": "colour=1"}, 422, "INVALID_INPUT"),
    ("number as text", {"json": {"inputs": {"text": 5}}}, 422, "INVALID_INPUT"),
    ("too long", {"json": {"inputs": {"text": "a" * 1547}}}, 422, "INVALID_INPUT"),
    ("blank", {"json": {"inputs": {"text": " \n\t "}}}, 422, "INVALID_INPUT"),
    ("true as a number", {"json": {"inputs": {"text": "a", "confidence_threshold": True}}}, 422, "INVALID_INPUT"),
    ("out of range", {"json": {"inputs": {"text": "a", "confidence_threshold": 1.01}}}, 422, "INVALID_INPUT"),
    ("language", {"json": {"inputs": {"text": "a", "language": "xx"}}}, 422, "INVALID_INPUT"),
    ("explanation not offered", {"json": {**GOOD, "options": {"explain": "shap"}}}, 422, "INVALID_INPUT"),
    ("odd preference", {"json": GOOD, "headers": {"Prefer": "wait=soon"}}, 422, "INVALID_INPUT"),
    ("versions disagree", {"json": {**GOOD, "model_version": "1.0.0"}, "headers": {"X-Model-Version": "9.0.0"}}, 422,
     "INVALID_INPUT"),
    ("unknown model", {"json": {**GOOD, "model": "nope"}}, 404, "MODEL_NOT_FOUND"),
    ("unknown version", {"json": {**GOOD, "model_version": "9.9.9"}}, 404, "MODEL_VERSION_NOT_FOUND"),
    ("huge", {"data": b" " * (5 * 2**20), "headers": JSON}, 413, "PAYLOAD_TOO_LARGE"),
    ("wait beyond the limit, with zeros in front", {"json": GOOD, "headers": {"Prefer": "wait=00000000040"}}, 422,
     "INVALID_INPUT"),
    ("explanation said twice", {"json": {**GOOD, "options": {"explain": "simple"}}, "query_string": "explain=false"},
     422, "INVALID_INPUT"),
    ("query said twice", {"json": GOOD, "query_string": "explain=simple&explain=simple"}, 422, "INVALID_INPUT"),
    ("doubled slashes", {"path": "/api//v1/predict", "json": GOOD}, 404, "NOT_FOUND"),
    ("wrong method", {"method": "PUT"}, 405, "METHOD_NOT_ALLOWED"),
    ("unknown path", {"path": "/api/v1/nope"}, 404, "NOT_FOUND"),
    ("wrong key", {"json": GOOD, "headers": {"Authorization": "Bearer cck_x"}}, 401, "UNAUTHORIZED"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "code"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_requests_get_the_envelope(client: FlaskClient, request_: dict[str, Any], status: int, code: str) -> None:
    answer = client.open(**{"path": PREDICT, "method": "POST", **request_})
    assert answer.status_code == status
    error = answer.get_json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"] == answer.headers["X-Request-ID"]
    assert error["timestamp"].endswith("Z")
    assert "Traceback" not in answer.get_data(as_text=True)


def test_a_fault_names_the_field_the_limit_and_what_came(client: FlaskClient) -> None:
    error = client.post(PREDICT, json={"inputs": {"text": "a" * 1547}}).get_json()["error"]
    assert error["message"] == "Input validation failed"
    assert error["details"] == {
        "field": "text",
        "issue": "exceeds maximum length of 1000 characters",
        "received_length": 1547,
    }


def test_several_faults_are_all_listed(client: FlaskClient) -> None:
    error = client.post(PREDICT, json={"inputs": {"text": 5, "language": "xx"}}).get_json()["error"]
    assert {fault["field"] for fault in error["errors"]} == {"text", "language"}
    assert error["details"] == error["errors"][0]


def test_no_key_no_answer(anonymous: FlaskClient) -> None:
    answer = anonymous.post(PREDICT, json=GOOD)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_wrong_method_says_which_are_allowed(client: FlaskClient) -> None:
    assert "POST" in client.put(PREDICT).headers["Allow"]


def test_text_with_nul_and_emoji_is_predicted(client: FlaskClient) -> None:
    assert client.post(PREDICT, json={"inputs": {"text": "good\u0000 \U0001f600"}}).status_code == 200
