"""The platform as a command asks it: what it sends, when it asks again, and what it makes of a refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import urllib3

from cli import remote
from tests.cli.conftest import JOB, KEY, Answer, Done, Run, serving

JSON = {"Content-Type": "application/json"}
LISTED: Answer = (200, JSON, b'{"jobs": []}')
LATER = f"; `coatcheck result {JOB}` fetches it later"


class Clock:
    """Goes on while somebody waits, and at no other time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waited: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for name in ("cli.remote.time", "cli.answers.time"):
        monkeypatch.setattr(name, made)
    return made


def error(code: str, **more: object) -> bytes:
    return json.dumps({"error": {"code": code, "message": "No", **more}}).encode()


def job(status: str, **more: object) -> Answer:
    found = {"job_id": JOB, "status": status, "progress": 5, "model": "m", "model_version": "1.0.0", **more}
    return 200, JSON, json.dumps(found).encode()


def told(run: Run, answer: Answer, *words: str) -> dict[str, Any]:
    """The error of a command whose every request is answered so."""
    with serving(lambda _: answer) as (url, _):
        done = run(*words, "--json", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, done.out) == (1, "")
    found: dict[str, Any] = json.loads(done.err)["error"]
    return found


def test_it_asks_again_ever_later_until_its_patience_is_over(
    run: Run, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.remote.PATIENCE_S", 20.0)
    with serving(lambda _: (502, {}, b"")) as (url, asked):
        done = run("jobs", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, len(asked), clock.waited) == (1, 7, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0])
    assert done.err.splitlines()[:2] == [f"{url} answers 502; trying again in {wait} s" for wait in ("0.5", "1")]


def test_who_is_not_there_is_asked_again_too(run: Run, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.remote.PATIENCE_S", 1.0)
    done = run("jobs", COATCHECK_URL="http://127.0.0.1:9", COATCHECK_API_KEY=KEY)
    said = "http://127.0.0.1:9 does not answer: connection refused"
    assert (done.code, clock.waited) == (1, [0.5])
    assert done.err == f"{said}; trying again in 0.5 s\nError: {said}\n"


def test_who_is_to_come_again_in_an_hour_is_told_so_and_does_not_try_before(run: Run, clock: Clock) -> None:
    with serving(lambda _: (429, {**JSON, "Retry-After": "3600"}, error("BACKLOG_FULL"))) as (url, asked):
        done = run("jobs", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, len(asked), clock.waited) == (1, 1, [])
    assert done.err == "Error: No; try again in 3600 s (BACKLOG_FULL)\n"


def test_who_waits_for_a_job_bears_an_outage_that_others_do_not(
    run: Run, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.remote.PATIENCE_S", 0.0)
    answers = iter([(503, {}, b""), (503, {}, b""), job("completed", result={"x": 1})])
    with serving(lambda _: next(answers)) as (url, _):
        done = run("result", JOB, COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, clock.waited) == (0, [0.5, 1.0])


def test_a_job_is_looked_at_twice_a_second_at_most(run: Run, clock: Clock) -> None:
    answers = iter([job("pending"), job("processing"), job("processing"), job("completed", result={"x": 1})])

    def answer(_: str) -> Answer:
        found = next(answers)
        # What is waited for over there counts.
        clock.now += 2.0 if b"processing" in found[2] else 0.0
        return found

    with serving(answer) as (url, _):
        done = run("result", JOB, COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, clock.waited) == (0, [0.5, 0.0, 0.0])


def test_who_cannot_wait_for_a_job_any_longer_is_told_how_to_come_back(
    run: Run, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.answers.PATIENCE_S", 0.0)
    found = told(run, (503, JSON, error("UNAVAILABLE", request_id="req_1")), "result", JOB)
    assert found == {
        "code": "UNAVAILABLE", "message": f"No (UNAVAILABLE){LATER}", "retryable": True,
        "details": {"request_id": "req_1", "job_id": JOB},
    }  # fmt: skip
    gone = told(run, (404, JSON, error("JOB_NOT_FOUND")), "result", JOB)
    assert gone == {"code": "JOB_NOT_FOUND", "message": "No (JOB_NOT_FOUND)", "retryable": False, "details": {}}


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        # No more than an error of Coatcheck's must have.
        ((400, JSON, error("ODD")), "ODD", "No (ODD)"),
        ((404, {**JSON, "Retry-After": "5"}, error("ODD")), "ODD", "No (ODD)"),
        ((300, JSON, b'{"jobs": []}'), "NOT_COATCHECK", "it answers 300 with application/json"),
        ((302, {"Location": "/login"}, b""), "NOT_COATCHECK", "it answers 302 and leads to /login"),
        ((302, {"Location": "/" + "x" * 300}, b""), "NOT_COATCHECK", f"leads to /{'x' * 199}"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told_by_its_code_and_in_so_many_words(
    run: Run, answer: Answer, code: str, said: str
) -> None:
    found = told(run, answer, "jobs")
    assert (found["code"], found["message"].endswith(said)) == (code, True), found["message"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999", 999_999_999.0),
        ("1000000000", 0.0),
        ("soon", 0.0),
        (None, 0.0),
    ],
)
def test_when_to_come_again_is_a_number_of_seconds_or_is_not_said(value: str | None, seconds: float) -> None:
    headers: Mapping[str, str] = {} if value is None else {"Retry-After": value}
    assert remote.retry_after(urllib3.HTTPResponse(headers=headers)) == seconds


def asked_for(run: Run, answer: Answer, *words: str, after: str = "") -> list[str]:
    """The paths that a command asks for."""
    with serving(lambda _: answer) as (url, asked):
        run(*words, COATCHECK_URL=f"{url}{after}", COATCHECK_API_KEY=KEY)
    return [item.split()[1] for item in asked]


def test_jobs_are_asked_for_as_was_said_wherever_the_address_ends(run: Run) -> None:
    for after in ("", "/", "//"):
        assert asked_for(run, LISTED, "jobs", after=after) == ["/api/v1/jobs?limit=20"]
    chosen = ("--status", "failed", "--model", "m", "--limit", "101")
    assert asked_for(run, LISTED, "jobs", *chosen) == ["/api/v1/jobs?status=failed&model=m&limit=100"]


def test_a_name_is_one_part_of_an_address_whatever_is_in_it(run: Run) -> None:
    answer: Answer = (200, JSON, json.dumps({"versions": ["1#2"], "stable_version": "1#2"}).encode())
    path = "/api/v1/models/a%3Fb"
    for words in (("models", "show", "a?b"), ("models", "try", "a?b", "--version", "1#2"), ("explain", "a?b")):
        assert asked_for(run, answer, *words) == [path, f"{path}/versions/1%232"]


def missing(run: Run, **env: str) -> Done:
    done = run("jobs", **env)
    assert (done.code, done.out) == (2, "")
    return done


def test_what_is_not_set_is_named(run: Run) -> None:
    where = " not set: in a checkout, `. .coatcheck/env` sets both\n"
    assert missing(run).err.endswith(f"Error: COATCHECK_URL and COATCHECK_API_KEY are{where}")
    assert missing(run, COATCHECK_API_KEY=KEY).err.endswith(f"Error: COATCHECK_URL is{where}")
    assert missing(run, COATCHECK_URL="http://h").err.endswith(f"Error: COATCHECK_API_KEY is{where}")
