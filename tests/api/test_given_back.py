"""Places for waits, streams and requests: taken one at a time, held by no one for longer than it is answered."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

import api
from api.resources import Resources
from tests import callers
from tests.api.world import GOOD
from tests.callers import Key
from tests.changed import changed
from tests.conftest import Platform, until
from tests.hands import work

JOBS = "/api/v1/jobs"
pytestmark = pytest.mark.usefixtures("quiet")


class Small:
    """An API with few places, and who asks it."""

    def __init__(self, platform: Platform, **places: Any) -> None:
        self.app = api.create_app(changed(platform.settings, max_wait_s=600.0, **places))
        self.here: Resources = self.app.extensions["coatcheck"]

    def client(self, key: Key) -> FlaskClient:
        made = self.app.test_client()
        made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
        return made

    @property
    def taken(self) -> list[int]:
        here = self.here
        return [places.taken for places in (here.requests, here.waiters, here.streams, here.predictions)]


Make = Callable[..., Small]


@pytest.fixture
def make(platform: Platform) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def small(**places: int) -> Small:
            made = Small(platform, **places)
            stack.callback(made.here.close)
            return made

        yield small


def submitted(client: FlaskClient) -> str:
    return str(client.post(JOBS, json={"inputs": GOOD}).get_json()["job_id"])


class Waiting:
    """A request that is answered in a thread of its own."""

    def __init__(self, client: FlaskClient, path: str) -> None:
        self.answer: Any = None
        self._thread = threading.Thread(target=self._ask, args=(client, path), daemon=True)
        self._thread.start()

    def _ask(self, client: FlaskClient, path: str) -> None:
        self.answer = client.get(path)

    @property
    def going_on(self) -> bool:
        return self._thread.is_alive()

    def status(self) -> object:
        self._thread.join(120)
        return self.answer.get_json()["status"]


def test_a_waiting_place_is_given_back_and_the_next_one_really_waits(make: Make, platform: Platform) -> None:
    small = make(max_waiters=1)
    client = small.client(callers.key(platform))
    for _ in range(3):
        job = submitted(client)
        waiting = Waiting(client, f"{JOBS}/{job}?wait=300")
        until(lambda: small.here.waiters.taken == 1)
        # Whoever waits is no longer among the requests in flight.
        assert small.here.requests.taken == 0
        work(platform)
        assert waiting.status() == "completed"
        assert small.taken == [0, 0, 0, 0]


@pytest.mark.parametrize("who", ["the same tenant", "another tenant"])
def test_who_finds_no_waiting_place_is_answered_at_once(make: Make, platform: Platform, who: str) -> None:
    small, first = make(max_waiters=1), callers.key(platform)
    second = first if who == "the same tenant" else callers.key(platform)
    job, other = submitted(small.client(first)), submitted(small.client(second))
    waiting = Waiting(small.client(first), f"{JOBS}/{job}?wait=300")
    until(lambda: small.here.waiters.taken == 1)
    answer = small.client(second).get(f"{JOBS}/{other}?wait=300")
    assert (answer.status_code, answer.get_json()["status"], waiting.going_on) == (200, "pending", True)
    assert small.here.waiters.taken == 1
    work(platform)
    assert waiting.status() == "completed"


def test_where_there_is_no_waiting_place_at_all_nobody_waits(make: Make, platform: Platform) -> None:
    small = make(max_waiters=0)
    client = small.client(callers.key(platform))
    waiting = Waiting(client, f"{JOBS}/{submitted(client)}?wait=300")
    assert waiting.status() == "pending"
    assert small.taken == [0, 0, 0, 0]


def test_a_wait_that_ends_by_its_time_gives_its_place_back(make: Make, platform: Platform) -> None:
    small = make(max_waiters=1)
    client = small.client(callers.key(platform))
    job = submitted(client)
    for _ in range(3):
        assert client.get(f"{JOBS}/{job}?wait=0.2").get_json()["status"] == "pending"
        assert small.taken == [0, 0, 0, 0]


def test_a_prediction_that_waits_for_its_job_has_a_waiting_place_too(make: Make, platform: Platform) -> None:
    small = make(max_waiters=1)
    client = small.client(callers.key(platform))
    job = submitted(client)
    waiting = Waiting(client, f"{JOBS}/{job}?wait=300")
    until(lambda: small.here.waiters.taken == 1)
    body = {"inputs": GOOD, "model_version": "2.1.0"}
    answer = client.post("/api/v1/predict", json=body, headers={"Prefer": "wait=300"})
    assert (answer.status_code, waiting.going_on) == (202, True)
    work(platform)
    assert waiting.status() == "completed"


def test_a_stream_has_a_place_until_it_is_closed(make: Make, platform: Platform) -> None:
    small = make(max_streams=2)
    first, second, third = (small.client(callers.key(platform)) for _ in range(3))
    paths = {client: f"{JOBS}/{submitted(client)}/events" for client in (first, second, third)}

    def stream(client: FlaskClient) -> flask.Response:
        return client.get(paths[client], buffered=False)  # type: ignore[return-value]

    for _ in range(3):
        held = [stream(first), stream(second)]
        assert [item.status_code for item in held] == [200, 200]
        assert small.taken == [0, 0, 2, 0]
        refused = stream(third)
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "BUSY")
        assert "all tenants" in refused.get_json()["error"]["message"]
        held.pop().close()
        own = stream(first)
        assert (own.status_code, "Your tenant has 1 open" in own.get_json()["error"]["message"]) == (503, True)
        again = stream(third)
        assert again.status_code == 200
        for item in [*held, again]:
            item.close()
        assert small.taken == [0, 0, 0, 0]


def test_whatever_a_request_ends_in_its_place_is_free_afterwards(make: Make, platform: Platform) -> None:
    small = make(request_threads=1, max_waiters=1)
    client = small.client(callers.key(platform))
    job = submitted(client)
    asked: tuple[Callable[[], Any], ...] = (
        lambda: client.get(f"{JOBS}/{job}"),
        lambda: client.get(f"{JOBS}/{job}?wait=0.1"),
        lambda: client.get(f"{JOBS}/{job}?wait=601"),
        lambda: client.get(f"{JOBS}/job_{'0' * 32}?wait=1"),
        lambda: client.get(f"{JOBS}/job_{'0' * 32}/events"),
        lambda: client.get(f"{JOBS}/{job}/events", headers={"Last-Event-ID": "x"}),
        lambda: client.post("/api/v1/predict", data=b"{", content_type="application/json"),
        lambda: client.post("/api/v1/predict", json={"inputs": GOOD}),
        lambda: client.get("/metrics"),
        lambda: client.get("/nothing"),
        lambda: client.put(JOBS),
    )
    for ask in asked:
        with ask() as answer:
            # 429 is what would be answered if an earlier one had kept the only place.
            assert answer.status_code != 429
        assert small.taken == [0, 0, 0, 0]


def test_requests_of_all_tenants_are_no_more_than_there_are_places(make: Make, platform: Platform) -> None:
    small = make(request_threads=2)
    tenants = [callers.key(platform) for _ in range(3)]
    ids = [small.here.keyring.verify(key.token).tenant_id for key in tenants]
    leave = [small.here.requests.take(ids[0]), small.here.requests.take(ids[1])]
    for key, status, code in ((tenants[0], 429, "TOO_MANY_REQUESTS"), (tenants[2], 503, "BUSY")):
        answer = small.client(key).get(JOBS)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)
        assert answer.headers["Retry-After"] == "2"
    assert small.app.test_client().get("/healthz").status_code == 200
    leave.pop()()
    assert small.client(tenants[2]).get(JOBS).status_code == 200
    assert small.client(tenants[0]).get(JOBS).status_code == 429
