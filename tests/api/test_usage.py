"""What a tenant reads of its own use, as JSON and as a table."""

from __future__ import annotations

import csv
import datetime as dt
from typing import Any

import pytest
from flask.testing import FlaskClient

import models
from tests import factories
from tests.api.world import GOOD
from tests.conftest import Platform, until

USAGE = "/api/v1/usage"


@pytest.fixture
def used(platform: Platform, client: FlaskClient, today: dt.date) -> FlaskClient:
    """Of a tenant that used something, beside others that did."""
    client.post("/api/v1/predict", json={"inputs": GOOD})
    until(lambda: client.get(USAGE).get_json()["usage"])
    key = client.get(f"{USAGE}?by=key").get_json()["usage"][0]["key"]
    tenant = platform.one("SELECT tenant_id FROM api_keys WHERE id = :id", id=key)
    factories.add(platform, models.Usage, tenant_id=tenant[0], key_id=key, version="2.0.0", units=9, price="0.0125")
    factories.add(platform, models.Usage, tenant_id=factories.tenant(platform), units=1000)
    return client


def test_what_was_used_is_told_by_what_is_asked_for_and_of_ones_own_tenant_alone(
    used: FlaskClient, today: dt.date
) -> None:
    answer = used.get(f"{USAGE}?by=version,kind").get_json()
    assert answer == {
        "from": str(today.replace(day=1)), "to": str(today),
        "usage": [
            {"version": "1.0.0", "kind": "inline", "calls": 1, "units": 1, "price": "0"},
            {"version": "2.0.0", "kind": "predict", "calls": 1, "units": 9, "price": "0.0125"},
        ],
    }  # fmt: skip
    assert used.get(USAGE).get_json()["usage"] == [{"day": str(today), "calls": 2, "units": 10, "price": "0.0125"}]
    for days in (f"from={today}", f"to={today}", f"from={today}&to={today}"):
        assert used.get(f"{USAGE}?{days}").get_json()["usage"][0]["units"] == 10
    assert used.get(f"{USAGE}?to={today - dt.timedelta(1)}").get_json()["usage"] == []


def test_the_same_is_a_table_for_who_asks_for_one(used: FlaskClient) -> None:
    answer = used.get(f"{USAGE}?by=kind,version", headers={"Accept": "text/csv"})
    assert (answer.mimetype, answer.headers["Vary"]) == ("text/csv", "Accept")
    assert list(csv.reader(answer.text.splitlines())) == [
        ["kind", "version", "calls", "units", "price"],
        ["inline", "1.0.0", "1", "1", "0"],
        ["predict", "2.0.0", "1", "9", "0.0125"],
    ]
    for accept in ("*/*", "application/json", "text/html", "application/json, text/csv;q=0.5"):
        assert used.get(USAGE, headers={"Accept": accept}).mimetype == "application/json"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("by=", "by"), ("by=hour", "by"), ("by=day,day", "by"), ("by=day, model", "by"), ("by=tenant", "by"),
        ("from=2026-1-1", "from"), ("from=2026-02-30", "from"), ("to=yesterday", "to"), ("to=", "to"),
        ("from=2026-02-01&to=2026-01-01", "from"), ("from=2020-01-01&to=2026-01-01", "from"), ("day=2026-01-01", "day"),
        ("from=9999-12-31", "from"), ("from=0001-01-01", "from"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_its_field(client: FlaskClient, query: str, field: str) -> None:
    answer = client.get(f"{USAGE}?{query}")
    assert answer.status_code == 422
    error: dict[str, Any] = answer.get_json()["error"]
    assert (error["code"], error["details"]["field"]) == ("INVALID_INPUT", field)


def test_the_last_days_that_there_are_can_be_asked_for(client: FlaskClient) -> None:
    for days in ("from=9999-12-31&to=9999-12-31", "from=0001-01-01&to=0001-01-01"):
        assert client.get(f"{USAGE}?{days}").get_json()["usage"] == []
