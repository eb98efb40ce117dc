"""An API whose machine's clock is wrong: it decides nothing, and what cannot do without it says so."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Self

import flask
import pytest

import api
from access import keys
from api.v1 import addresses, routes
from core import errors, ids, urls
from storage import signed_url
from tests import callers
from tests.conftest import Platform

INPUT = {"inputs": {"text": "Lovely"}}


@pytest.fixture(params=[3600, -3600])
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """By so many seconds the clock of this process is ahead."""
    real, real_ns, ahead_s = time.time, time.time_ns, int(request.param)
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + ahead_s * 10**9)
    return ahead_s


@pytest.fixture
def client(platform: Platform, client: flask.testing.FlaskClient, wrong: int) -> Iterator[flask.testing.FlaskClient]:
    """Of an API that was started with this clock."""
    app = api.create_app(platform.settings)
    found = app.test_client()
    found.environ_base = client.environ_base
    yield found
    app.extensions["coatcheck"].close()


def test_ready_says_by_how_much_and_goes_on(client: flask.testing.FlaskClient, wrong: int) -> None:
    answer = client.get("/ready")
    assert (answer.status_code, answer.json["checks"]["clock"]) == (200, False)
    assert abs(answer.json["clock_ahead_s"] - wrong) < 5


def test_a_job_stands_where_the_database_says_that_it_is_now(
    client: flask.testing.FlaskClient, platform: Platform
) -> None:
    job_id = client.post("/api/v1/jobs", json=INPUT).json["job_id"]
    job = ids.parse_job_id(job_id)
    said_s = platform.one("SELECT extract(epoch FROM created_at)::float FROM jobs WHERE id = :id", id=job)[0]
    assert isinstance(said_s, float)
    assert abs((job.int >> 80) / 1000 - said_s) < 5


def test_what_is_handed_in_again_and_what_is_predicted_by_a_job_stand_there_as_well(
    client: flask.testing.FlaskClient, platform: Platform
) -> None:
    old = client.post("/api/v1/jobs", json=INPUT).json["job_id"]
    client.post(f"/api/v1/jobs/{old}/cancel")
    again = client.post(f"/api/v1/jobs/{old}/retry").json["job_id"]
    heavy = {**INPUT, "model_version": "2.1.0"}
    asked = client.post("/api/v1/predict", json=heavy, headers={"Prefer": "respond-async"}).json["job_id"]
    now_s = platform.one("SELECT extract(epoch FROM now())::float")[0]
    assert isinstance(now_s, float)
    for job_id in (again, asked):
        assert abs((ids.parse_job_id(job_id).int >> 80) / 1000 - now_s) < 60


def test_a_key_that_is_made_lives_as_long_as_was_said(
    platform: Platform, client: flask.testing.FlaskClient, wrong: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Self:
            return super().now(tz) + dt.timedelta(seconds=wrong)

    for module in (routes.keys, routes.admin.keys):
        monkeypatch.setattr(module, "dt", SimpleNamespace(datetime=Wrong, timedelta=dt.timedelta, UTC=dt.UTC))
    key = callers.key(platform, scopes=keys.CLIENT | {keys.ADMIN})
    asked: list[tuple[str, dict[str, object]]] = [("keys", {}), ("admin/keys", {"tenant": key.tenant})]
    for path, more in asked:
        body = {"name": "short", "scopes": ["predict"], "expires_in_s": 600, **more}
        made = client.post(f"/api/v1/{path}", json=body, headers=key.headers)
        assert made.status_code == 201, made.text
        left = "SELECT extract(epoch FROM expires_at - now())::float FROM api_keys WHERE id = :id"
        assert platform.one(left, id=made.json["id"])[0] == pytest.approx(600, abs=60)


def test_what_has_to_be_signed_is_refused_with_the_reason(client: flask.testing.FlaskClient, wrong: int) -> None:
    answer = client.post("/api/v1/uploads", json={"content_type": "text/csv", "size": 10})
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "UNAVAILABLE")
    assert f"This machine's clock is wrong by {wrong:+d} s" in answer.json["error"]["message"]
    with client.application.test_request_context(), pytest.raises(errors.Unavailable, match="no store takes what it"):
        addresses.address("results/a", "a.json")


def test_a_clients_signature_is_judged_by_the_time_that_is_given() -> None:
    parts = urls.parse("https://b.example/x?AWSAccessKeyId=k&Signature=s&Expires=1000000", "input_url")
    at = dt.datetime.fromtimestamp(1_000_000, dt.UTC)
    signed_url.check_signature(parts, "input_url", at - dt.timedelta(seconds=61))
    with pytest.raises(errors.InputExpired):
        signed_url.check_signature(parts, "input_url", at - dt.timedelta(seconds=59))
