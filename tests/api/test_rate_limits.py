"""What a client meets of its limits: headers on every answer, refusals that say when, and nothing lost by them."""

from __future__ import annotations

import datetime as dt
import io
import re
import time
from collections.abc import Mapping
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import callers
from tests.api.world import GOOD
from tests.callers import Key
from tests.conftest import Platform

PREDICT, BATCH, JOBS = "/api/v1/predict", "/api/v1/predict/batch", "/api/v1/jobs"
BAD = {"text": 5}
#: Nothing comes back while a test looks.
SLOW = {"requests_per_minute": 1, "units_per_minute": 1}


@pytest.fixture
def client(app: flask.Flask) -> FlaskClient:
    return app.test_client()


def key(platform: Platform, **limits: Any) -> Key:
    return callers.key(platform, tier=callers.tier(platform, **{**SLOW, **limits}))


def left(answer: TestResponse) -> Mapping[str, int]:
    found = re.findall(r'"(\w+)";r=(\d+);t=\d+', answer.headers["RateLimit"])
    return {name: int(count) for name, count in found}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [("GET", JOBS, None, 200), ("POST", PREDICT, {"inputs": GOOD}, 200), ("POST", PREDICT, {"inputs": BAD}, 422),
     ("GET", f"{JOBS}/job_nope", None, 404), ("POST", JOBS, {"inputs": GOOD}, 202), ("PUT", JOBS, None, 405)],
)  # fmt: skip
def test_every_answer_to_a_key_says_what_is_left(
    platform: Platform, client: FlaskClient, method: str, path: str, body: Any, status: int
) -> None:
    mine = key(platform, requests_burst=50, units_burst=10)
    more = {} if body is None else {"json": body}
    answer = client.open(path, method=method, headers=mine.headers, **more)
    assert answer.status_code == status
    if status == 405:  # no route, and so nobody who asks it
        return
    assert answer.headers["RateLimit-Policy"] == '"requests";q=50;w=3000, "units";q=10;w=600'
    spent = 1 if status in (200, 202) and body else 0
    assert left(answer) == {"requests": 49, "units": 10 - spent}
    tightest = ("10", "9") if spent else ("50", "49")
    assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == tightest
    full_in_s = int(answer.headers["X-RateLimit-Reset"]) - time.time()
    assert full_in_s == pytest.approx(60, abs=3)


def test_what_needs_no_key_says_nothing_of_limits(client: FlaskClient) -> None:
    for path in ("/healthz", "/openapi/v1.json", "/nowhere"):
        assert "RateLimit" not in client.get(path).headers


def test_requests_beyond_the_burst_are_429_with_the_time_to_wait(platform: Platform, client: FlaskClient) -> None:
    mine = key(platform, requests_per_minute=6, requests_burst=2)
    answers = [client.get(JOBS, headers=mine.headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    error = answers[2].get_json()["error"]
    assert error["code"] == "RATE_LIMITED"
    assert error["details"] == {"policy": "requests", "limit": 2, "per_minute": 6}
    wait_s = int(answers[2].headers["Retry-After"])
    assert 0 < wait_s <= 10
    assert left(answers[2])["requests"] == 0
    time.sleep(wait_s)
    assert client.get(JOBS, headers=mine.headers).status_code == 200


def test_all_keys_of_a_tenant_share_its_limits_and_no_other_tenant_does(
    platform: Platform, client: FlaskClient
) -> None:
    mine = key(platform, requests_burst=2)
    second = callers.key(platform, tenant=mine.tenant)
    assert client.get(JOBS, headers=mine.headers).status_code == 200
    assert client.get(JOBS, headers=second.headers).status_code == 200
    assert client.get(JOBS, headers=second.headers).status_code == 429
    assert client.get(JOBS, headers=key(platform, requests_burst=2).headers).status_code == 200


@pytest.mark.parametrize("path", [BATCH, JOBS])
def test_inputs_cost_their_units_and_what_costs_more_than_ever_fits_is_refused_at_once(
    platform: Platform, client: FlaskClient, path: str
) -> None:
    mine = key(platform, units_burst=5)
    good = client.post(path, json={"inputs": [GOOD] * 3}, headers=mine.headers)
    assert (good.status_code // 100, left(good)["units"]) == (2, 2)
    again = client.post(path, json={"inputs": [GOOD] * 3}, headers=mine.headers)
    assert (again.status_code, again.get_json()["error"]["details"]["policy"]) == (429, "units")
    never = client.post(path, json={"inputs": [GOOD] * 6}, headers=mine.headers)
    assert (never.status_code, never.get_json()["error"]["code"]) == (413, "REQUEST_TOO_COSTLY")
    assert never.get_json()["error"]["details"] == {"limit": 5, "policy": "units", "cost": 6}
    assert "Retry-After" not in never.headers
    assert left(client.get(JOBS, headers=mine.headers))["units"] == 2


def test_who_is_refused_for_units_has_made_no_request(platform: Platform, client: FlaskClient) -> None:
    mine = key(platform, requests_burst=10, units_burst=1)
    client.post(PREDICT, json={"inputs": GOOD}, headers=mine.headers)
    for _ in range(20):
        assert client.post(PREDICT, json={"inputs": GOOD}, headers=mine.headers).status_code == 429
    assert left(client.get(JOBS, headers=mine.headers))["requests"] == 8


@pytest.mark.parametrize("path", [PREDICT, BATCH, JOBS])
@pytest.mark.parametrize(
    "limits",
    [{"units_burst": 1}, {"monthly_units": 1, "allowance_percent": 0, "past_allowance": "refuse"}],
    ids=["rate", "month"],
)
def test_the_body_of_who_is_out_of_units_is_not_read(
    platform: Platform, client: FlaskClient, path: str, limits: dict[str, int | str]
) -> None:
    mine = key(platform, **limits)
    for status in (200, 429):
        assert client.post(PREDICT, json={"inputs": GOOD}, headers=mine.headers).status_code == status
    body = io.BytesIO(b"{" * 1000)
    found = client.post(
        path, input_stream=body, content_length=1000, content_type="application/json", headers=mine.headers
    )
    assert (found.status_code, body.tell()) == (429, 0)
    # What was answered before is answered again, for which it must be read.
    once = {**mine.headers, "Idempotency-Key": "once"}
    found = client.post(path, input_stream=body, content_length=1000, content_type="application/json", headers=once)
    assert (found.status_code, body.tell()) == (400, 1000)


def test_what_a_model_failed_on_costs_no_units(platform: Platform, client: FlaskClient, failing: str) -> None:
    mine = key(platform, units_burst=10)
    body = {"model": failing, "inputs": {"x": -9, "y": 1}}
    assert client.post(PREDICT, json=body, headers=mine.headers).status_code == 422
    rows = [{"x": -9, "y": 1}, {"x": 1, "y": 1}]
    many = {"model": failing, "inputs": rows, "options": {"return_errors": "individual"}}
    answer = client.post(BATCH, json=many, headers=mine.headers)
    assert (answer.get_json()["failed"], left(answer)["units"]) == (1, 9)


@pytest.mark.parametrize(("path", "status"), [(PREDICT, 200), (JOBS, 202)])
def test_the_same_again_under_its_key_costs_no_units(
    platform: Platform, client: FlaskClient, path: str, status: int
) -> None:
    mine = key(platform, units_burst=1)
    headers = {**mine.headers, "Idempotency-Key": "once"}
    for _ in range(3):
        assert client.post(path, json={"inputs": GOOD}, headers=headers).status_code == status


def test_limits_are_told_with_what_is_left_of_them(platform: Platform, client: FlaskClient) -> None:
    mine = key(platform, requests_burst=7, units_burst=3, max_running=5, max_pending=6, max_run_s=50, unit_price=0.5)
    assert client.post(JOBS, json={"inputs": GOOD}, headers=mine.headers).status_code == 202
    found = client.get("/api/v1/limits", headers=mine.headers).get_json()
    assert [(rate["name"], rate["burst"], rate["remaining"]) for rate in found["rates"]] == [
        ("requests", 7, 5), ("units", 3, 2),
    ]  # fmt: skip
    assert found["jobs"]["waiting"] == {"limit": 6, "used": 1}
    assert found["jobs"]["running"] == {"limit": 5, "used": 0}
    assert (found["jobs"]["max_timeout_s"], found["unit_price"]) == (50, 0.5)
    assert (found["month"], found["conduct"]) == (None, None)
    assert (found["jobs"]["max_expires_in_s"], found["jobs"]["priorities"]) == (604_800, ["high", "normal", "low"])
    # What comes back at one a minute is whole in as many minutes as are missing.
    assert [rate["per_minute"] for rate in found["rates"]] == [1, 1]
    assert [rate["full_in_s"] for rate in found["rates"]] == [pytest.approx(120, abs=15), pytest.approx(60, abs=15)]


def test_a_month_and_what_may_be_uploaded_are_told_with_the_limits(platform: Platform, client: FlaskClient) -> None:
    mine = key(platform, requests_burst=9000, units_burst=9, monthly_units=50, allowance_percent=20,
               past_allowance="pay", max_uploads=3, max_upload_bytes=7)  # fmt: skip
    assert client.post(JOBS, json={"inputs": [GOOD] * 3}, headers=mine.headers).status_code == 202
    told = client.get("/api/v1/limits", headers=mine.headers).get_json()
    assert told["uploads"] == {"open": 3, "bytes": 7}
    resets_at = dt.datetime.fromisoformat(told["month"].pop("resets_at"))
    assert (resets_at.day, resets_at > dt.datetime.now(dt.UTC)) == (1, True)
    assert told["month"] == {"units": 50, "allowance": 10, "used": 3, "then": "pay"}


def test_a_job_may_run_no_longer_than_its_tier_allows(platform: Platform, client: FlaskClient) -> None:
    mine = key(platform, requests_burst=7, max_run_s=50)
    refused = client.post(JOBS, json={"inputs": GOOD, "timeout_s": 51}, headers=mine.headers)
    assert refused.get_json()["error"]["details"]["issue"] == "must be at most 50"
    made = client.post(JOBS, json={"inputs": GOOD}, headers=mine.headers).get_json()["job_id"]
    assert client.get(f"{JOBS}/{made}", headers=mine.headers).get_json()["timeout_s"] == 50
