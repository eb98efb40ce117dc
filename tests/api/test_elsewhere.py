"""An API on a machine whose own time is not UTC: what it tells is."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

import flask
import pytest
from flask.testing import FlaskClient

import models
from tests import callers, factories
from tests.conftest import Platform


@pytest.fixture(autouse=True)
def another_day(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Here it is another day than in UTC, yesterday or tomorrow."""
    monkeypatch.setenv("TZ", "Etc/GMT+12" if dt.datetime.now(dt.UTC).hour < 12 else "Etc/GMT-14")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_an_error_tells_when_it_came(client: FlaskClient) -> None:
    told = client.get("/api/v1/jobs/job_nope").get_json()["error"]["timestamp"]
    assert abs(dt.datetime.fromisoformat(told) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)


def test_what_was_used_today_and_29_days_ago_counts_for_the_last_thirty(platform: Platform, app: flask.Flask) -> None:
    key = callers.key(platform)
    tenant = platform.one("SELECT id FROM tenants WHERE name = :name", name=key.tenant)[0]
    now = dt.datetime.now(dt.UTC)
    for days, units in ((0, 1), (29, 10)):
        at = {"created_at": now - dt.timedelta(days)}
        factories.add(platform, models.Usage, tenant_id=tenant, version="1.0.0", units=units, **at)
    query = '{ model(name: "sentiment") { stable { usage { units } } } }'
    told = app.test_client().post("/graphql", json={"query": query}, headers=key.headers).get_json()
    assert told["data"]["model"]["stable"]["usage"] == {"units": 11}
