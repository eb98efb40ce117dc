"""A model that the API answers itself cannot keep a thread of the API for ever."""

from __future__ import annotations

import gc
import re
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import api
from inference import bundle
from tests import callers, graphs
from tests.changed import changed
from tests.conftest import Platform

PREDICT = "/api/v1/predict"
FAST = {"x": 2, "y": 1}
SLOW = {"x": graphs.ENDLESS, "y": 1}
#: Long enough for what is fast on a busy machine, when it is shared by three rows.
LIMIT_S = 6.0


@pytest.fixture(scope="module")
def model(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = f"m{uuid.uuid4().hex}"
    folder = graphs.bundle(tmp_path_factory.mktemp("inline") / "turns", graphs.graph(graphs.TURNS), name=name)
    platform.catalog.publish(bundle.load(folder))
    return name


@pytest.fixture(scope="module")
def impatient(platform: Platform) -> Iterator[FlaskClient]:
    made = api.create_app(changed(platform.settings, inline_timeout_s=LIMIT_S))
    client = made.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {platform.new_tenant()[1]}"
    yield client
    made.extensions["coatcheck"].close()


def units_left(answer: TestResponse) -> int:
    found = re.search(r'"units";r=(\d+)', answer.headers["RateLimit"])
    assert found
    return int(found[1])


def batch(client: FlaskClient, model: str, inputs: list[dict[str, Any]], **options: object) -> Any:
    return client.post(f"{PREDICT}/batch", json={"model": model, "inputs": inputs, "options": options})


def test_a_run_that_never_ends_is_422_and_says_how_to_get_an_answer(impatient: FlaskClient, model: str) -> None:
    answer = impatient.post(PREDICT, json={"model": model, "inputs": SLOW})
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], error["details"]) == (422, "TIMED_OUT", {"limit_s": LIMIT_S})
    assert "as a job: say `Prefer: respond-async`" in error["message"]
    # As it says, and the next one is answered as ever.
    ticket = impatient.post(PREDICT, json={"model": model, "inputs": SLOW}, headers={"Prefer": "respond-async"})
    assert ticket.status_code == 202
    assert impatient.post(PREDICT, json={"model": model, "inputs": FAST}).get_json()["prediction"] == "a"


def test_a_slow_row_spoils_only_its_own_answer_where_that_is_asked_for(impatient: FlaskClient, model: str) -> None:
    answer = batch(impatient, model, [FAST, SLOW, FAST], return_errors="individual")
    found = answer.get_json()["predictions"]
    assert (answer.status_code, answer.get_json()["failed"]) == (200, 1)
    assert found[1]["error"]["code"] == "TIMED_OUT"
    assert found[0] == found[2] == {"prediction": "a", "confidence": graphs.CONFIDENCE}


def test_what_took_all_of_its_time_costs_its_units(platform: Platform, impatient: FlaskClient, model: str) -> None:
    tier = callers.tier(platform, units_per_minute=1, units_burst=10)
    headers = callers.key(platform, tier=tier).headers
    alone = impatient.post(PREDICT, json={"model": model, "inputs": SLOW}, headers=headers)
    assert (alone.status_code, units_left(alone)) == (422, 9)
    one_of = {"model": model, "inputs": [SLOW, FAST], "options": {"return_errors": "individual"}}
    several = impatient.post(f"{PREDICT}/batch", json=one_of, headers=headers)
    assert (several.get_json()["failed"], units_left(several)) == (1, 7)


@pytest.mark.parametrize(
    ("fast_before", "slow", "size"),
    [(0, 1, 1), (1, 1, 2), (0, 5, 4)],
    ids=["of one row each", "the last of its run", "a whole run of them"],
)
def test_a_slow_row_leaves_time_for_those_of_later_runs(
    impatient: FlaskClient, model: str, fast_before: int, slow: int, size: int
) -> None:
    asked: list[dict[str, Any]] = [*[FAST] * fast_before, *[SLOW] * slow, FAST]
    answer = batch(impatient, model, asked, return_errors="individual", batch_size=size)
    found = ["error" not in row for row in answer.get_json()["predictions"]]
    assert found == [row is FAST for row in asked]


def test_a_slow_row_ends_the_whole_batch_where_that_is_asked_for(impatient: FlaskClient, model: str) -> None:
    answer = batch(impatient, model, [FAST, SLOW, FAST], return_errors="fail_fast")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "TIMED_OUT")


def test_the_time_is_one_for_all_runs_of_a_request(impatient: FlaskClient, model: str) -> None:
    # Forty runs that would take as long each.
    asked = [SLOW] * 40
    answer = batch(impatient, model, asked, return_errors="individual", batch_size=1)
    assert [row["error"]["code"] for row in answer.get_json()["predictions"]] == ["TIMED_OUT"] * 40


def test_one_thread_watches_whatever_runs(impatient: FlaskClient, model: str) -> None:
    def ask() -> list[threading.Thread]:
        assert impatient.post(PREDICT, json={"model": model, "inputs": FAST}).status_code == 200
        return [thread for thread in threading.enumerate() if thread.name == "watch"]

    before = ask()
    assert [ask() for _ in range(5)] == [before] * 5


def test_a_process_that_serves_looks_no_more_through_what_it_began_with(platform: Platform) -> None:
    try:
        made = api.served()
        assert gc.get_freeze_count() > 100_000
        made.extensions["coatcheck"].close()
    finally:
        gc.unfreeze()
