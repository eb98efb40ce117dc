"""A store that takes nothing is told before a file is sent, and not after."""

from __future__ import annotations

import dataclasses

import flask.testing
import pytest

from core.cached import Cached
from storage.objects import Store
from tests.conftest import Platform

PLACE = {"content_type": "text/csv", "size": 10}
COUNT = "SELECT count(*) FROM uploads"


def test_no_place_is_given_while_the_store_takes_nothing_and_none_is_counted(
    client: flask.testing.FlaskClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What it answers differs; that it does not store is the same, full or gone.
    gone = Store(
        dataclasses.replace(platform.settings.storage, endpoint_url="http://127.0.0.1:1"), read_s=1, attempts=1
    )
    here = client.application.extensions["coatcheck"]
    before = platform.one(COUNT)
    with monkeypatch.context() as patch:
        patch.setitem(vars(here), "takes_files", Cached(gone.check_takes, 5))
        answer = client.post("/api/v1/uploads", json=PLACE, headers={"Idempotency-Key": "one"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert "takes no files now, perhaps its disk is full" in answer.get_json()["error"]["message"]
    assert answer.headers["Retry-After"]
    assert platform.one(COUNT) == before
    again = client.post("/api/v1/uploads", json=PLACE, headers={"Idempotency-Key": "one"})
    assert again.status_code == 201
