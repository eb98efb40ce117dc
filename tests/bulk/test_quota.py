"""What a file costs is known when it is cut: one that the month has no room for fails before any of its rows is run."""

from __future__ import annotations

import contextlib
import dataclasses

import flask
import pytest
from flask.testing import FlaskClient

from jobs.drain import Drainer
from tests import callers
from tests.bulk.conftest import Run, Send
from tests.changed import changed
from tests.conftest import Platform, until
from wiring.runner import Runner


@pytest.fixture
def client(platform: Platform, app: flask.Flask) -> FlaskClient:
    """Of a tenant with 10 units in a month."""
    tier = callers.tier(platform, monthly_units=10, allowance_percent=0, past_allowance="refuse")
    found = app.test_client()
    found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {callers.key(platform, tier=tier).token}"
    return found


def test_a_file_is_run_if_the_month_has_room_for_all_of_its_rows_and_else_none_of_them_is(
    platform: Platform, client: FlaskClient, upload: Send, work: Run
) -> None:
    def ended(rows: int) -> tuple[object, object, int]:
        body = {"upload_id": upload(b'{"text": "Lovely"}\n' * rows), "model": "sentiment"}
        job_id = client.post("/api/v1/jobs", json=body).get_json()["job_id"]
        work()
        shown = client.get(f"/api/v1/jobs/{job_id}").get_json()
        used = platform.one("SELECT coalesce(sum(units), 0)::int FROM usage WHERE kind <> 'inline'")[0]
        return shown["status"], shown.get("error", {}).get("code"), used

    assert ended(11) == ("failed", "REQUEST_TOO_COSTLY", 0)
    assert platform.one("SELECT count(*) FROM jobs WHERE kind = 'chunk'") == (0,)
    assert ended(4) == ("completed", None, 4)
    assert ended(7) == ("failed", "QUOTA_EXCEEDED", 4)
    assert ended(6) == ("completed", None, 10)
    # Now not even the one row at whose cost a file is accepted; the API looks once a second.
    body = {"upload_id": upload(b'{"text": "Lovely"}'), "model": "sentiment"}
    until(lambda: client.post("/api/v1/jobs", json=body).status_code == 429)
    assert client.post("/api/v1/jobs", json=body).get_json()["error"]["code"] == "QUOTA_EXCEEDED"


def test_where_nobody_is_held_to_limits_the_month_has_room_for_any_file(
    platform: Platform, drainer: Drainer, client: FlaskClient, upload: Send
) -> None:
    made = Runner(changed(platform.settings, limits=False), drainer.presence, asked_to_stop=lambda: False)
    body = {"upload_id": upload(b'{"text": "Lovely"}\n' * 11), "model": "sentiment"}
    job_id = client.post("/api/v1/jobs", json=body).get_json()["job_id"]
    with contextlib.closing(made):
        dataclasses.replace(drainer, attempts=made.attempts).drain("cpu", "wake")
    assert platform.one("SELECT count(*) FROM jobs WHERE kind = 'chunk'")[0] > 0, client.get(
        f"/api/v1/jobs/{job_id}"
    ).text
