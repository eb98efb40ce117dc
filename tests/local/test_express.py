"""The express lane behind the real front door: it answers what it can, and without it all is answered as well."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from local import express_conf, platform_processes, state
from local.child import Child
from tests import callers
from tests.conftest import ROOT, Engines, Platform, until

PATH = "/api/v1/predict"
JOBS = "/api/v1/jobs"
GOOD = {"model": "sentiment", "inputs": {"text": "Lovely"}}
ORIGIN = "https://page.example"


@dataclass(frozen=True)
class Front:
    platform: Platform
    port: int
    key: callers.Key
    children: dict[str, Child]

    def ask(
        self, body: object = GOOD, path: str = PATH, method: str = "POST", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {**self.key.headers, "Content-Type": "application/json", **headers}
        connection.request(method, path, json.dumps(body), sent)
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        data = answer.read()
        connection.close()
        return answer.status, told, json.loads(data)

    def counted(self) -> dict[str, float]:
        """What became of requests to the lane, as far as it has told."""
        rows = self.platform.rows("SELECT labels, value FROM counts WHERE name = 'http_express_requests_total'")
        return {row.labels["result"]: row.value for row in map(_read, rows)}


@dataclass(frozen=True)
class _Row:
    labels: Mapping[str, str]
    value: float


def _read(row: Any) -> _Row:
    return _Row(json.loads(row.labels), row.value)


@pytest.fixture(scope="module")
def front(platform: Platform, throwaway: Engines) -> Iterator[Front]:
    made = state.load(throwaway.folder / ".coatcheck")
    port = made.ports["api"] = state.free_port(made.ports.values())
    env = {**throwaway.env, "FLOWER_BASIC_AUTH": "a:b", "COATCHECK_CORS_ORIGINS": ORIGIN}
    os.environ["COATCHECK_CORS_ORIGINS"] = ORIGIN  # which the proxy reads here
    try:
        programs = platform_processes.door(made, env)
    finally:
        del os.environ["COATCHECK_CORS_ORIGINS"]
    children = {
        program.name: Child(program, throwaway.folder / f"express-{program.name}.log", ROOT) for program in programs
    }
    found = Front(platform, port, callers.key(platform), children)
    until(lambda: platform_processes.answers(f"http://127.0.0.1:{port}/ready"))
    yield found
    for child in children.values():
        child.stop()


def answered(front: Front) -> float:
    return front.counted().get("answered", 0)


@pytest.fixture
def warm(front: Front) -> Front:
    """Where the lane answers."""
    before = answered(front)

    def once_more() -> bool:
        assert front.ask()[0] == 200
        return answered(front) > before

    until(once_more)
    return front


def test_what_it_answers_and_what_it_hands_over_look_alike(warm: Front) -> None:
    status, told, body = warm.ask(**{"Origin": ORIGIN, "X-Request-ID": "a"})
    assert (status, body["prediction"], body["request_id"]) == (200, "positive", "a")
    other_status, others, other = warm.ask({**GOOD, "options": {"explain": True}}, Origin=ORIGIN)
    assert (other_status, other["explanation"]["method"]) == (200, "scores")
    assert told.keys() == others.keys()
    assert told["access-control-allow-origin"] == others["access-control-allow-origin"] == ORIGIN
    assert told["content-security-policy"] == others["content-security-policy"]
    assert "x-accel-redirect" not in told.keys() | others.keys()


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ({**GOOD, "inputs": {}}, {}, 422, "INVALID_INPUT"),
        ({**GOOD, "model": "nope"}, {}, 404, "MODEL_NOT_FOUND"),
        (GOOD, {"Authorization": f"Bearer cck_{'0' * 12}_{'0' * 56}"}, 401, "UNAUTHORIZED"),
        (GOOD, {"Content-Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({**GOOD, "model": "x" * 30_000}, {}, 422, "INVALID_INPUT"),  # in a file of the proxy's
        ({**GOOD, "model": "x" * 300_000}, {}, 422, "INVALID_INPUT"),
    ],
)
def test_what_is_wrong_is_told_by_the_api(
    warm: Front, body: object, headers: Mapping[str, str], status: int, code: str
) -> None:
    found, _, told = warm.ask(body, **headers)
    assert (found, told["error"]["code"]) == (status, code)


def test_a_job_is_waited_for_and_handed_in_at_the_same_address(warm: Front) -> None:
    status, told, body = warm.ask(Prefer="respond-async")
    assert (status, told["preference-applied"], body["status"]) == (202, "respond-async", "pending")
    status, _, body = warm.ask(**{"Idempotency-Key": "once"})
    again, replayed, same = warm.ask(**{"Idempotency-Key": "once"})
    assert (status, again, replayed["idempotent-replayed"]) == (200, 200, "true")
    assert same == body


def test_a_plain_job_is_taken_in_there_and_looked_at_through_the_api(warm: Front) -> None:
    def taken_in() -> bool:
        before = answered(warm)
        status, told, body = warm.ask(path=JOBS)
        assert (status, told["location"]) == (202, body["links"]["self"])
        found, _, job = warm.ask(path=body["links"]["self"], method="GET")
        assert (found, job["job_id"], job["status"]) == (200, body["job_id"], "pending")
        until(lambda: sum(warm.counted().values()) > 0)
        return answered(warm) > before

    until(taken_in)
    assert warm.ask(path=JOBS, method="GET")[2]["jobs"]
    for body, status in (({**GOOD, "inputs": {}}, 422), ({**GOOD, "metadata": {"a": 1}}, 202)):
        assert warm.ask(body, path=JOBS)[0] == status


def test_a_job_that_the_lane_was_sent_is_asked_of_nobody_else(warm: Front) -> None:
    """Though it stands still for longer than the proxy waits for a prediction."""
    pid, found = warm.children["express"].pid, callers.key(warm.platform)
    mine = Front(warm.platform, warm.port, found, warm.children)

    def jobs() -> int:
        count = warm.platform.one("SELECT count(*) FROM jobs JOIN tenants ON tenants.id = tenant_id WHERE name = :name",
                                  name=found.tenant)[0]  # fmt: skip
        assert isinstance(count, int)
        return count

    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as other:
        try:
            asked = other.submit(mine.ask, path=JOBS)
            time.sleep(express_conf.EXPRESS_S + 1)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert asked.result()[0] == 202
    assert jobs() == 1


def test_a_job_that_was_sent_to_a_lane_that_died_over_it_is_asked_of_nobody_else(warm: Front) -> None:
    """It may have stored it: who asked is told that nobody knows."""
    lane, found = warm.children["express"], callers.key(warm.platform)
    mine = Front(warm.platform, warm.port, found, warm.children)
    os.kill(lane.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as other:
        asked = other.submit(mine.ask, path=JOBS)
        time.sleep(express_conf.JOB_S / 2)  # it has been sent by then, which nobody but the lane could tell
        lane.kill()
        status, _, told = asked.result()
    kept = "SELECT count(*) FROM jobs JOIN tenants ON tenants.id = tenant_id WHERE name = :name"
    assert warm.platform.one(kept, name=found.tenant) == (0,)
    warm.children["express"] = Child(lane.program, warm.platform.engines.folder / "express-express.log", ROOT)
    assert (status, told["error"]["code"]) == (503, "UNAVAILABLE")


def test_no_key_and_another_method_are_refused_as_everywhere(warm: Front) -> None:
    assert warm.ask(Authorization="")[2]["error"]["code"] == "UNAUTHORIZED"
    assert warm.ask(method="DELETE")[2]["error"]["code"] == "METHOD_NOT_ALLOWED"


def test_a_lane_that_stands_still_is_passed_by_and_not_asked_again_for_a_while(warm: Front) -> None:
    pid = warm.children["express"].pid
    took: list[float] = []
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(8):  # each process of the proxy finds out, or is told
            began = time.monotonic()
            assert warm.ask()[0] == 200
            took.append(time.monotonic() - began)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert sum(seconds < express_conf.EXPRESS_S for seconds in took) > len(took) / 2


def test_a_proxy_that_was_killed_starts_again(warm: Front) -> None:
    children = warm.children
    children["proxy"].kill()
    children["proxy"] = Child(children["proxy"].program, warm.platform.engines.folder / "express-proxy.log", ROOT)
    until(lambda: platform_processes.answers(f"http://127.0.0.1:{warm.port}/ready"))
    assert warm.ask()[0] == 200


def test_where_it_is_gone_the_api_answers_all_and_it_told_what_it_had_counted(front: Front, warm: Front) -> None:
    before = sum(front.counted().values())
    for _ in range(5):
        front.ask()
    front.children["express"].stop()
    assert front.children["express"].exit_code in (0, -signal.SIGTERM)
    assert sum(front.counted().values()) >= before + 5
    assert front.ask()[0] == 200
    assert front.ask({**GOOD, "inputs": {}})[0] == 422
    front.children["api"].stop()
    for path, body in ((PATH, GOOD), (f"{PATH}?explain=true", GOOD), (PATH, {"model": "x" * 200_000})):
        status, told, found = front.ask(body, path)
        assert (status, found["error"]["code"], told["retry-after"]) == (503, "UNAVAILABLE", "2"), path
