"""An API whose machine's clock is wrong: it decides nothing, and what cannot do without it says so."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

import flask
import pytest

import api
from api.v1 import addresses
from core import errors, ids, urls
from storage import signed_url
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
